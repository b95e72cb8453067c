# SPDX-License-Identifier: Apache-2.0
"""Compares published instances with the demo camera's truth of the same image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from yolact_ros.masks import full_mask, instance_map
from yolact_ros.msg import InstanceArray, Object, ObjectArray

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
        frames_boxed: Frames whose true boxes are known.
        frames_in_space: Those of them whose objects in space came: a node that is behind measures
            only the newest of its results.
        in_space: Those of `found` in `frames_in_space`.
        centre_errors: Distance of the box's centre from the true one's of each of `in_space` that
            was measured, m.
        size_errors: Largest error of an edge over the longest true edge, of the same.
    """

    frames: int = 0
    objects: int = 0
    found: int = 0
    found_any_class: int = 0
    instances: int = 0
    instances_matched: int = 0
    ious: list[float] = field(default_factory=list)
    frames_boxed: int = 0
    frames_in_space: int = 0
    in_space: int = 0
    centre_errors: list[float] = field(default_factory=list)
    size_errors: list[float] = field(default_factory=list)

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

    @property
    def measured(self) -> float:
        """Fraction of `in_space` that was measured; 0 without any."""
        return len(self.centre_errors) / self.in_space if self.in_space else 0.0

    def add(
        self,
        result: InstanceArray,
        truth: InstanceArray,
        objects: ObjectArray | None = None,
        true_objects: ObjectArray | None = None,
    ) -> None:
        """Compare the results of one image with the truth of the same image.

        Instances and objects are matched one to one, the best overlap first.

        Args:
            result: A message of `~/instances`.
            truth: A message of the demo camera's `truth`, whose scores are visible fractions.
            objects: A message of `~/objects` in the camera's frame, if one came.
            true_objects: A message of the demo camera's `truth_objects`, if it has one of this
                image.
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
        self.frames_boxed += true_objects is not None
        self.frames_in_space += true_objects is not None and objects is not None
        self.instances += len(result.instances)
        self.instances_matched += len(matched)
        for i, instance in enumerate(truth.instances):
            if instance.score < LEAST_VISIBLE or true_areas[i] < LEAST_PIXELS:
                continue
            self.objects += 1
            self.found_any_class += i in matched_any_class
            if i in matched:
                row, iou = matched[i]
                self.found += 1
                self.ious.append(iou)
                if objects is not None and true_objects is not None:
                    self._compare_boxes(_object(objects, row + 1), _object(true_objects, i + 1))

    def _compare_boxes(self, measured: Object | None, true: Object | None) -> None:
        if true is None:
            return
        self.in_space += 1
        if measured is None:
            return
        centre = _vector(measured.pose.pose.position) - _vector(true.pose.pose.position)
        edges, true_edges = _vector(measured.size), _vector(true.size)
        self.centre_errors.append(float(np.linalg.norm(centre)))
        self.size_errors.append(float(np.abs(edges - true_edges).max() / true_edges.max()))


def _pixels_of_each(numbers: np.ndarray, truth: InstanceArray) -> np.ndarray:
    """Count the pixels of each true instance in a part of the map of their numbers."""
    return np.bincount(numbers.ravel(), minlength=len(truth.instances) + 1)[1:]


def _object(objects: ObjectArray, instance: int) -> Object | None:
    """The object of an instance, counted from 1."""
    return next((each for each in objects.objects if each.instance == instance), None)


def _vector(message: Any) -> np.ndarray:
    return np.array([message.x, message.y, message.z])


def _match(overlap: np.ndarray) -> dict[int, tuple[int, float]]:
    """Match rows with columns one to one, best first; return row and IoU by column."""
    matched: dict[int, tuple[int, float]] = {}
    remaining = overlap.copy()
    while remaining.size and remaining.max() >= MATCH_IOU:
        row, column = np.unravel_index(int(remaining.argmax()), remaining.shape)
        matched[int(column)] = int(row), float(remaining[row, column])
        remaining[row, :] = 0
        remaining[:, column] = 0
    return matched
