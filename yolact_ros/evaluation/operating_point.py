# SPDX-License-Identifier: Apache-2.0
"""Matches instances to objects at one score threshold: what a robot would have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from yolact_ros.datasets.coco import CocoDataset, CocoImage, CocoObject
from yolact_ros.datasets.segmentation import Extent, run_lengths_of


@dataclass(frozen=True)
class FoundInstance:
    """One instance of the results.

    Attributes:
        class_id: Class id of the data set.
        score: 0 to 1.
        box: x1, y1, x2, y2 in pixels.
        segmentation: Compressed run lengths.
    """

    class_id: int
    score: float
    box: Extent
    segmentation: Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """An object and the instance that covers it, whatever their classes.

    Attributes:
        truth: The object.
        found: The instance.
        iou: IoU of their masks.
    """

    truth: CocoObject
    found: FoundInstance
    iou: float

    @property
    def right(self) -> bool:
        """Whether the classes agree."""
        return self.truth.class_id == self.found.class_id


@dataclass(frozen=True)
class ImageMatch:
    """The objects and the instances of one image.

    Attributes:
        image: The image.
        pairs: Objects with their instances.
        false_negatives: Objects without an instance (missed).
        false_positives: Instances without an object, repeated instances of an object included.
        in_crowd: Instances without an object in a crowd region: neither right nor wrong.
    """

    image: CocoImage
    pairs: tuple[Pair, ...]
    false_negatives: tuple[CocoObject, ...]
    false_positives: tuple[FoundInstance, ...]
    in_crowd: tuple[FoundInstance, ...]

    @property
    def right(self) -> tuple[Pair, ...]:
        """Pairs of the same class."""
        return tuple(pair for pair in self.pairs if pair.right)

    @property
    def confused(self) -> tuple[Pair, ...]:
        """Pairs of different classes."""
        return tuple(pair for pair in self.pairs if not pair.right)

    @property
    def errors(self) -> int:
        """Number of false negatives, false positives and confused classes."""
        return len(self.false_negatives) + len(self.false_positives) + len(self.confused)

    @property
    def quality(self) -> float:
        """Panoptic quality of the image over all its classes, 0 to 1.

        The sum of the mask IoU of right pairs, divided by their number plus half the false
        negatives and half the false positives; a confused class is both. 1 if there was nothing to
        find and nothing was found. Kirillov et al., Panoptic Segmentation, section 4.1.
        """
        halves = len(self.false_negatives) + len(self.false_positives)
        count = len(self.right) + len(self.confused) + halves / 2
        return sum(pair.iou for pair in self.right) / count if count else 1.0


@dataclass(frozen=True)
class OperatingPoint:
    """What a user sees who shows instances from one score on; see `match_dataset`.

    Attributes:
        score: The threshold.
        right, confused: Number of objects found with their class, and with another one.
        false_negatives, false_positives: See `ImageMatch`.
        mean_iou: Mean mask IoU of the right ones; 0 without any.
    """

    score: float
    right: int
    confused: int
    false_negatives: int
    false_positives: int
    mean_iou: float

    @classmethod
    def of(cls, matches: Sequence[ImageMatch], score: float) -> OperatingPoint:
        """Sum over images."""
        ious = [pair.iou for match in matches for pair in match.right]
        return cls(
            score=score,
            right=len(ious),
            confused=sum(len(match.confused) for match in matches),
            false_negatives=sum(len(match.false_negatives) for match in matches),
            false_positives=sum(len(match.false_positives) for match in matches),
            mean_iou=float(np.mean(ious)) if ious else 0.0,
        )

    @property
    def recall(self) -> float | None:
        """Share of the objects that are right, 0 to 1; None without objects."""
        objects = self.right + self.confused + self.false_negatives
        return self.right / objects if objects else None

    @property
    def precision(self) -> float | None:
        """Share of the instances that are right, 0 to 1; None without instances."""
        instances = self.right + self.confused + self.false_positives
        return self.right / instances if instances else None


def match_dataset(
    dataset: CocoDataset, results: Sequence[Mapping[str, Any]], *, score: float, iou: float = 0.5
) -> tuple[ImageMatch, ...]:
    """Match the instances of each image to its objects.

    In descending order of scores, each instance takes the object that it overlaps most, whatever
    its class.

    Args:
        dataset: The truth.
        results: In COCO's results format.
        score: Threshold; instances with lower scores are left out.
        iou: Mask IoU that a match requires; for crowds, share of the instance inside the region.

    Returns:
        One match per image, in the data set's order.
    """
    class_ids = {category: index for index, category in enumerate(dataset.category_ids)}
    found: dict[int, list[FoundInstance]] = {image.id: [] for image in dataset.images}
    for result in results:
        if result["score"] >= score:
            x, y, width, height = result["bbox"]
            found[result["image_id"]].append(
                FoundInstance(
                    class_id=class_ids[result["category_id"]],
                    score=result["score"],
                    box=(x, y, x + width, y + height),
                    segmentation=result["segmentation"],
                )
            )
    return tuple(_match_image(image, found[image.id], iou) for image in dataset.images)


def _match_image(image: CocoImage, found: list[FoundInstance], iou: float) -> ImageMatch:
    found = sorted(found, key=lambda instance: -instance.score)
    objects = [thing for thing in image.objects if not thing.crowd]
    crowds = [thing for thing in image.objects if thing.crowd]
    overlaps = _overlaps(image, found, [*objects, *crowds])
    object_ious, crowd_ious = overlaps[:, : len(objects)], overlaps[:, len(objects) :]
    pairs, false_positives, in_crowd = [], [], []
    free = np.ones(len(objects), dtype=bool)
    for instance, ious, crowd in zip(found, object_ious, crowd_ious, strict=True):
        candidates = np.where(free, ious, -1.0)
        best = int(candidates.argmax()) if objects else -1
        if best >= 0 and candidates[best] >= iou:
            pairs.append(Pair(objects[best], instance, float(candidates[best])))
            free[best] = False
        elif (crowd >= iou).any():
            in_crowd.append(instance)
        else:
            false_positives.append(instance)
    false_negatives = tuple(thing for thing, unfound in zip(objects, free, strict=True) if unfound)
    return ImageMatch(image, tuple(pairs), false_negatives, tuple(false_positives), tuple(in_crowd))


def _overlaps(
    image: CocoImage, found: Sequence[FoundInstance], things: Sequence[CocoObject]
) -> npt.NDArray[np.float64]:
    """Return the (instances, objects) mask IoU; for crowds, the share of the instance inside."""
    if not found or not things:
        return np.zeros((len(found), len(things)))
    truth = [run_lengths_of(thing.segmentation, image.height, image.width) for thing in things]
    masks = [instance.segmentation for instance in found]
    ious: npt.NDArray[np.float64] = coco_mask.iou(
        masks, truth, [int(thing.crowd) for thing in things]
    )
    return ious


def confusion_matrix(matches: Sequence[ImageMatch], classes: int) -> npt.NDArray[np.int64]:
    """Count which class was taken for which.

    Returns:
        (classes + 1, classes + 1) int64: rows are true classes, columns found ones. The background
        comes last: its column counts false negatives, its row false positives.
    """
    matrix = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for match in matches:
        for pair in match.pairs:
            matrix[pair.truth.class_id, pair.found.class_id] += 1
        for thing in match.false_negatives:
            matrix[thing.class_id, classes] += 1
        for instance in match.false_positives:
            matrix[classes, instance.class_id] += 1
    return matrix


def worst_matches(matches: Sequence[ImageMatch], count: int) -> list[ImageMatch]:
    """Return the images of lowest quality, worst first, but none of quality 1.

    Among images of equal quality, those with more errors come first.
    """
    imperfect = [match for match in matches if match.quality < 1]
    return sorted(imperfect, key=lambda match: (match.quality, -match.errors))[:count]
