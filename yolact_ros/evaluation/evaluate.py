# SPDX-License-Identifier: Apache-2.0
"""Measures a network on a data set: everything that a report says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.coco import CocoDataset

from .coco import CocoMetrics, PrecisionRecall, coco_evaluation
from .operating_point import ImageMatch, confusion_matrix, match_dataset
from .segment_dataset import InstanceSegmenter, SegmentedDataset, segment_dataset

MATCHING_IOU = 0.5
"""Mask IoU from which on an instance is of an object, at the operating score."""


@dataclass(frozen=True)
class OperatingPoint:
    """What a user sees who shows instances from one score on; see `match_dataset`.

    Attributes:
        score: The threshold.
        right, confused, missed, invented: Objects found with their class, found with another,
            not found; instances of nothing.
        mean_iou: Mean mask IoU of those right; 0 without any.
    """

    score: float
    right: int
    confused: int
    missed: int
    invented: int
    mean_iou: float

    @classmethod
    def of(cls, matches: Sequence[ImageMatch], score: float) -> OperatingPoint:
        """Sums the images up."""
        ious = [pair.iou for match in matches for pair in match.right]
        return cls(
            score=score,
            right=len(ious),
            confused=sum(len(match.confused) for match in matches),
            missed=sum(len(match.missed) for match in matches),
            invented=sum(len(match.invented) for match in matches),
            mean_iou=float(np.mean(ious)) if ious else 0.0,
        )

    @property
    def recall(self) -> float:
        """Part of the objects that are right, 0 to 1; 1 without objects."""
        objects = self.right + self.confused + self.missed
        return self.right / objects if objects else 1.0

    @property
    def precision(self) -> float:
        """Part of the instances that are right, 0 to 1; 1 without instances."""
        instances = self.right + self.confused + self.invented
        return self.right / instances if instances else 1.0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well a network segments a data set.

    Attributes:
        dataset: The truth.
        segmented: The network's answers.
        mask, box: COCO's figures.
        curves: Precision over recall of the masks.
        matches: Instances and objects of each image at the operating score.
        operating_point: Their sums.
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
    """Segments a data set and compares with its truth.

    Args:
        segmenter: The network; see `segment_dataset`. It runs once on the first image beforehand,
            so that the times are those of a network in use.
        dataset: The images and their truth.
        operating_score: Score threshold of the confusion matrix and of `matches`.
        batch_size, multiply_mask_scores, progress: See `segment_dataset`.

    Raises:
        ValueError: As `segment_dataset`.
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
    """`evaluate` of answers that are there already."""
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
