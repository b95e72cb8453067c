# SPDX-License-Identifier: Apache-2.0
"""COCO's average precision and recall, computed by faster-coco-eval; pycocotools checks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO, COCOeval_faster

from yolact_ros.errors import InputError, expect_one_of

IOU_KINDS = ("bbox", "segm")


@dataclass(frozen=True)
class CocoMetrics:
    """COCO's twelve metrics, 0 to 1, and three per class; -1 where there is no truth.

    Attributes:
        ap: Mean over IoU 0.50 to 0.95 in steps of 0.05 and over classes.
        ap50, ap75: At IoU 0.50 and 0.75.
        ap_small, ap_medium, ap_large: For objects below 32², 32² to 96² and above 96² pixels.
        ar_1, ar_10, ar_100: Recall with at most so many instances per image.
        ar_small, ar_medium, ar_large: Recall by size with at most 100 instances per image.
        ap_per_class, ap50_per_class, ar_per_class: `ap`, `ap50` and `ar_100` by class name.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar_1: float
    ar_10: float
    ar_100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    ap_per_class: dict[str, float]
    ap50_per_class: dict[str, float]
    ar_per_class: dict[str, float]


METRICS = tuple(field.name for field in fields(CocoMetrics) if not field.name.endswith("_class"))
"""Names of the twelve metrics in COCO's order."""


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision over recall for objects of all sizes and at most 100 instances per image.

    Attributes:
        ious: (10,) IoU that a match requires.
        recalls: (101,) 0 to 1 in equal steps.
        precision: (10, 101, K) best precision at this recall or a higher one, by class in ascending
            order of category ids; 0 beyond the highest recall reached, -1 for classes without
            truth.
        class_names: Names of the K classes.
    """

    ious: npt.NDArray[np.float64]
    recalls: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    class_names: tuple[str, ...]

    def at(self, iou: float) -> npt.NDArray[np.float64]:
        """Return the (101, K) `precision` at one of `ious`.

        Raises:
            InputError: There is no such IoU.
        """
        [matching] = np.nonzero(np.isclose(self.ious, iou))
        if not len(matching):
            raise InputError(f"iou: expected one of {self.ious.round(2).tolist()}, got {iou}")
        curve: npt.NDArray[np.float64] = self.precision[matching[0]]
        return curve


def coco_metrics(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], iou_kind: str
) -> CocoMetrics:
    """Return the metrics of `coco_evaluation` alone."""
    return coco_evaluation(ground_truth, results, iou_kind)[0]


def coco_evaluation(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], iou_kind: str
) -> tuple[CocoMetrics, PrecisionRecall]:
    """Measure results against their truth.

    Args:
        ground_truth: As `CocoDataset.content`; not modified. A crowd is never a false negative, and
            an instance in it never a false positive.
        results: In COCO's results format, see `instances_to_coco_results`. Boxes are ranked by
            "box_score" where there is one.
        iou_kind: "bbox" (boxes) or "segm" (masks).

    Raises:
        InputError: The kind is another, or a result names an unknown image.

    Example:
        >>> truth = {
        ...     "images": [{"id": 1, "width": 100, "height": 100}],
        ...     "categories": [{"id": 1, "name": "cup"}],
        ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0,
        ...                      "area": 1600, "bbox": [10, 10, 40, 40]}],
        ... }
        >>> found = {"image_id": 1, "category_id": 1, "score": 0.9, "bbox": [10, 10, 40, 30]}
        >>> metrics, _ = coco_evaluation(truth, [found], "bbox")  # an IoU of 0.75
        >>> round(metrics.ap, 2), round(metrics.ap75, 2), metrics.ap_small
        (0.6, 1.0, -1.0)
    """
    expect_one_of("iou_kind", iou_kind, IOU_KINDS)
    known = {image["id"] for image in ground_truth["images"]}
    if unknown := {result["image_id"] for result in results} - known:
        raise InputError(f"results: expected ids of known images, got {sorted(unknown)[:5]}")
    categories = sorted(ground_truth["categories"], key=lambda category: category["id"])
    class_names = tuple(category["name"] for category in categories)
    truth, found = _numbered(ground_truth, results, iou_kind)
    evaluation = COCOeval_faster(truth, truth.loadRes(found), iou_kind)
    evaluation.run()
    # (IoU, recall, class, area range, max instances)
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    recall = evaluation.eval["recall"][:, :, 0, -1]  # (IoU, class)
    curves = PrecisionRecall(
        ious=evaluation.params.iouThrs,
        recalls=evaluation.params.recThrs,
        precision=precision,
        class_names=class_names,
    )
    metrics = CocoMetrics(
        **dict(zip(METRICS, map(float, evaluation.stats), strict=True)),
        ap_per_class=_per_class(class_names, precision),
        ap50_per_class=_per_class(class_names, curves.at(0.5)),
        ar_per_class=_per_class(class_names, recall),
    )
    return metrics, curves


def _numbered(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], iou_kind: str
) -> tuple[COCO, list[dict[str, Any]]]:
    """Return truth and results as the library takes them, which writes into both.

    Everything is numbered anew, in the same order: an object of id 0 would count as never found,
    and an id is an integer of 64 bits there.
    """
    images = {id_: number for number, id_ in enumerate(_ids(ground_truth["images"]))}
    categories = {id_: number for number, id_ in enumerate(_ids(ground_truth["categories"]), 1)}

    def renumbered(entry: Mapping[str, Any]) -> dict[str, Any]:
        place = {"image_id": images[entry["image_id"]]}
        return {**entry, **place, "category_id": categories[entry["category_id"]]}

    truth = COCO()
    truth.dataset = {
        "images": [{**image, "id": images[image["id"]]} for image in ground_truth["images"]],
        "categories": [
            {**category, "id": categories[category["id"]]}
            for category in ground_truth["categories"]
        ],
        "annotations": [
            {**renumbered(annotation), "id": number}
            for number, annotation in enumerate(ground_truth["annotations"], start=1)
        ],
    }
    truth.createIndex()
    # The library takes an instance's area, and so its size class, from the box where there is one:
    # each kind gets its own geometry only.
    other = "segmentation" if iou_kind == "bbox" else "bbox"
    found = [
        renumbered({key: value for key, value in result.items() if key != other})
        for result in results
        if result["category_id"] in categories
    ]
    if iou_kind == "bbox":
        found = [{**one, "score": one.get("box_score", one["score"])} for one in found]
    return truth, found


def _ids(entries: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted(entry["id"] for entry in entries)


def _per_class(class_names: Sequence[str], values: npt.NDArray[np.float64]) -> dict[str, float]:
    """Average over all axes but the last, that of classes; -1 where nothing is known."""
    means = {}
    for index, name in enumerate(class_names):
        known = values[..., index][values[..., index] > -1]
        means[name] = float(known.mean()) if known.size else -1.0
    return means
