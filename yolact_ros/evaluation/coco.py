# SPDX-License-Identifier: Apache-2.0
"""COCO's average precision and recall, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IOU_KINDS = ("bbox", "segm")


@dataclass(frozen=True)
class CocoMetrics:
    """COCO's twelve figures, 0 to 1, and the AP of each class; -1 where there is no truth.

    Attributes:
        ap: Mean over IoU 0.50 to 0.95 in steps of 0.05 and over classes.
        ap50, ap75: At one IoU.
        ap_small, ap_medium, ap_large: Of objects below 32², 32² to 96², above 96² pixels.
        ar_1, ar_10, ar_100: Recall with at most so many instances an image.
        ar_small, ar_medium, ar_large: Recall by size with at most 100.
        ap_per_class: `ap` by class name.
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

    def as_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)


def coco_metrics(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], iou_kind: str
) -> CocoMetrics:
    """Measures results against their truth.

    Args:
        ground_truth: A COCO annotation file's content: "images", "annotations", "categories".
        results: In COCO's results format, see `instances_to_coco_results`.
        iou_kind: "bbox" (boxes) or "segm" (masks).

    Raises:
        ValueError: The kind is another, or a result names an unknown image.
    """
    if iou_kind not in IOU_KINDS:
        raise ValueError(f"iou_kind: expected one of {', '.join(IOU_KINDS)}, got {iou_kind!r}")
    known = {image["id"] for image in ground_truth["images"]}
    if unknown := {result["image_id"] for result in results} - known:
        raise ValueError(f"results: expected ids of known images, got {sorted(unknown)[:5]}")
    # pycocotools reports on the standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"info": {}, **ground_truth}
        truth.createIndex()
        evaluation = COCOeval(truth, _load_results(truth, results, iou_kind), iou_kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = {category["id"]: category["name"] for category in ground_truth["categories"]}
    # (IoU, recall, class, area range, max instances)
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    per_class = {
        names[category]: _mean_of_known(precision[:, :, index])
        for index, category in enumerate(evaluation.params.catIds)
    }
    figures = [field.name for field in fields(CocoMetrics) if field.name != "ap_per_class"]
    values: dict[str, Any] = dict(zip(figures, map(float, evaluation.stats), strict=True))
    return CocoMetrics(**values, ap_per_class=per_class)


def _load_results(truth: COCO, results: Sequence[Mapping[str, Any]], iou_kind: str) -> COCO:
    # pycocotools takes an instance's area, and so its size class, from the box where there is one:
    # each kind gets its own geometry only.
    other = "segmentation" if iou_kind == "bbox" else "bbox"
    own = [{key: value for key, value in result.items() if key != other} for result in results]
    if own:
        return truth.loadRes(own)
    empty = COCO()  # loadRes refuses an empty list
    empty.dataset = {**truth.dataset, "annotations": []}
    empty.createIndex()
    return empty


def _mean_of_known(precision: np.ndarray[Any, Any]) -> float:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else -1.0
