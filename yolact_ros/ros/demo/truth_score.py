# SPDX-License-Identifier: Apache-2.0
"""Compares published instances with the demo camera's truth of the same image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from yolact_ros.masks import full_mask, instance_map
from yolact_ros.msg import InstanceArray

MATCH_IOU = 0.5
"""Minimum mask IoU for an instance to match an object."""
LEAST_VISIBLE = 0.5
"""Minimum visible fraction of an object that counts as expected."""
LEAST_PIXELS = 400
"""Minimum number of visible pixels of an object that counts as expected."""


@dataclass
class TruthScore:
    """Sums over the frames that were compared.

    Attributes:
        frames: Frames compared.
        objects: Expected objects: at least half visible and 400 pixels large.
        found: Those of them matched by an instance of the same class.
        found_any_class: Those of them matched by an instance of any class.
        instances: Instances published.
        instances_matched: Those of them that match an object of the same class, expected or not.
        ious: Mask IoU of each of `found`.
    """

    frames: int = 0
    objects: int = 0
    found: int = 0
    found_any_class: int = 0
    instances: int = 0
    instances_matched: int = 0
    ious: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Fraction of the expected objects found with their class; 0 without objects."""
        return self.found / self.objects if self.objects else 0.0

    @property
    def recall_any_class(self) -> float:
        """As `recall`, regardless of the class."""
        return self.found_any_class / self.objects if self.objects else 0.0

    @property
    def precision(self) -> float:
        """Fraction of the instances that match an object of their class; 0 without instances."""
        return self.instances_matched / self.instances if self.instances else 0.0

    @property
    def mean_iou(self) -> float:
        """Mean mask IoU of the objects found; 0 without any."""
        return float(np.mean(self.ious)) if self.ious else 0.0

    def add(self, result: InstanceArray, truth: InstanceArray) -> None:
        """Compare the results of one image with the truth of the same image.

        Instances and objects are matched one to one, the best overlap first.

        Args:
            result: A message of `~/instances`.
            truth: A message of the demo camera's `truth`, whose scores are visible fractions.
        """
        numbers = instance_map(truth)  # the true masks do not overlap
        true_areas = _pixels_of_each(numbers, truth)
        overlap = np.zeros((len(result.instances), len(truth.instances)))
        for row, instance in zip(overlap, result.instances, strict=True):
            covered = numbers[full_mask(instance.mask, *numbers.shape)]
            common = _pixels_of_each(covered, truth)
            row[:] = common / (covered.size + true_areas - common)
        found_classes = np.array([instance.class_id for instance in result.instances], np.int64)
        true_classes = np.array([instance.class_id for instance in truth.instances], np.int64)
        same_class = found_classes[:, None] == true_classes[None, :]
        matched = _match(np.where(same_class, overlap, 0.0))
        matched_any_class = _match(overlap)
        self.frames += 1
        self.instances += len(result.instances)
        self.instances_matched += len(matched)
        for i, instance in enumerate(truth.instances):
            if instance.score < LEAST_VISIBLE or true_areas[i] < LEAST_PIXELS:
                continue
            self.objects += 1
            self.found_any_class += i in matched_any_class
            if i in matched:
                self.found += 1
                self.ious.append(matched[i])


def _pixels_of_each(numbers: np.ndarray, truth: InstanceArray) -> np.ndarray:
    """Count the pixels of each true instance in a part of the map of their numbers."""
    return np.bincount(numbers.ravel(), minlength=len(truth.instances) + 1)[1:]


def _match(overlap: np.ndarray) -> dict[int, float]:
    """Match rows with columns one to one, best first; return the IoU by column."""
    matched: dict[int, float] = {}
    remaining = overlap.copy()
    while remaining.size and remaining.max() >= MATCH_IOU:
        row, column = np.unravel_index(int(remaining.argmax()), remaining.shape)
        matched[int(column)] = float(remaining[row, column])
        remaining[row, :] = 0
        remaining[:, column] = 0
    return matched
