# SPDX-License-Identifier: Apache-2.0
"""Measures how well a network segments a data set: everything that the report shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.coco import CocoDataset

from .coco import CocoMetrics, PrecisionRecall, coco_evaluation
from .operating_point import ImageMatch, OperatingPoint, confusion_matrix, match_dataset
from .segment_dataset import InstanceSegmenter, SegmentedDataset, segment_dataset

MATCHING_IOU = 0.5
"""Mask IoU that matches an instance to an object at the operating score."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well a network segments a data set.

    Attributes:
        dataset: The truth.
        segmented: The network's results.
        mask, box: COCO's metrics.
        curves: Precision over recall of the masks.
        matches: Instances and objects of each image at the operating score.
        operating_point: Sums over `matches`.
        confusion: See `confusion_matrix`.
    """

    dataset: CocoDataset
    segmented: SegmentedDataset
    mask: CocoMetrics
    box: CocoMetrics
    curves: PrecisionRecall
    matches: tuple[ImageMatch, ...]
    operating_point: OperatingPoint
    confusion: npt.NDArray[np.int64]


def evaluate(
    segmenter: InstanceSegmenter,
    dataset: CocoDataset,
    *,
    operating_score: float = 0.3,
    batch_size: int = 1,
    multiply_mask_scores: bool = True,
    progress: bool = False,
) -> Evaluation:
    """Segment a data set and compare the results with its truth.

    Args:
        segmenter: The network; see `segment_dataset`. It runs once on the first image beforehand,
            so that the times do not include a warm-up.
        dataset: The images and their truth.
        operating_score: Score threshold, 0 to 1, of the confusion matrix and of `matches`.
        batch_size, multiply_mask_scores, progress: See `segment_dataset`.

    Raises:
        InputError: As for `segment_dataset`.
    """
    first = dataset.read_image(dataset.images[0])
    segmenter([first] * min(batch_size, len(dataset)), channel_order="rgb")
    segmented = segment_dataset(
        segmenter,
        dataset,
        batch_size=batch_size,
        multiply_mask_scores=multiply_mask_scores,
        progress=progress,
    )
    return evaluate_results(dataset, segmented, operating_score=operating_score)


def evaluate_results(
    dataset: CocoDataset, segmented: SegmentedDataset, *, operating_score: float = 0.3
) -> Evaluation:
    """Compare results that exist already with their truth; see `evaluate`."""
    content = dataset.content
    mask, curves = coco_evaluation(content, segmented.results, "segm")
    box, _ = coco_evaluation(content, segmented.results, "bbox")
    matches = match_dataset(dataset, segmented.results, score=operating_score, iou=MATCHING_IOU)
    return Evaluation(
        dataset=dataset,
        segmented=segmented,
        mask=mask,
        box=box,
        curves=curves,
        matches=matches,
        operating_point=OperatingPoint.of(matches, operating_score),
        confusion=confusion_matrix(matches, len(dataset.class_names)),
    )
