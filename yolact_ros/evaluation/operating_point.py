# SPDX-License-Identifier: Apache-2.0
"""Which object each instance is, at one score threshold: what a robot would have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from yolact_ros.datasets.coco import CocoDataset, CocoImage, CocoObject, decode_segmentation
from yolact_ros.datasets.run_lengths import encode_mask


@dataclass(frozen=True)
class FoundInstance:
    """One instance of the results.

    Attributes:
        class_id: The data set's.
        score: 0 to 1.
        box: x1, y1, x2, y2 in pixels.
        segmentation: Compressed RLE.
    """

    class_id: int
    score: float
    box: tuple[float, float, float, float]
    segmentation: Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """An object and the instance that covers it, of whatever class.

    Attributes:
        truth: The object.
        found: The instance.
        iou: Of their masks.
    """

    truth: CocoObject
    found: FoundInstance
    iou: float

    @property
    def right(self) -> bool:
        """Whether the class is right."""
        return self.truth.class_id == self.found.class_id


@dataclass(frozen=True)
class ImageMatch:
    """The objects and the instances of one image.

    Attributes:
        image: The image.
        pairs: Objects with their instances.
        missed: Objects without an instance.
        invented: Instances without an object, a second one of the same object among them.
        in_crowd: Instances without an object in a crowd region: neither right nor wrong.
    """

    image: CocoImage
    pairs: tuple[Pair, ...]
    missed: tuple[CocoObject, ...]
    invented: tuple[FoundInstance, ...]
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
    def faults(self) -> int:
        """Objects missed, instances invented and classes confused."""
        return len(self.missed) + len(self.invented) + len(self.confused)

    @property
    def quality(self) -> float:
        """Panoptic quality of the image, over all its classes: 0 to 1.

        The sum of the mask IoU of what was found rightly, over its number plus half of what was
        missed and half of what was invented; a confused class is both. 1 where there was nothing to
        find and nothing was found. Kirillov et al., Panoptic Segmentation, section 4.1.
        """
        count = len(self.right) + len(self.confused) + (len(self.missed) + len(self.invented)) / 2
        return sum(pair.iou for pair in self.right) / count if count else 1.0


def match_dataset(
    dataset: CocoDataset, results: Sequence[Mapping[str, Any]], *, score: float, iou: float = 0.5
) -> tuple[ImageMatch, ...]:
    """Pairs the instances of each image with its objects.

    The better score chooses first, and chooses the object that it overlaps most, of whatever class.

    Args:
        dataset: The truth.
        results: In COCO's results format.
        score: Instances with less are left out.
        iou: Mask IoU from which on an instance is of an object. Of a crowd region: the part of the
            instance that is in it.

    Returns:
        One an image, in the data set's order.
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
    pairs, invented, in_crowd = [], [], []
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
            invented.append(instance)
    missed = tuple(thing for thing, unfound in zip(objects, free, strict=True) if unfound)
    return ImageMatch(image, tuple(pairs), missed, tuple(invented), tuple(in_crowd))


def _overlaps(
    image: CocoImage, found: Sequence[FoundInstance], things: Sequence[CocoObject]
) -> npt.NDArray[np.float64]:
    """(instances, objects) mask IoU; of crowds: the part of the instance that is in them."""
    if not found or not things:
        return np.zeros((len(found), len(things)))
    truth = [
        encode_mask(decode_segmentation(thing.segmentation, image.height, image.width).astype(bool))
        for thing in things
    ]
    masks = [instance.segmentation for instance in found]
    ious: npt.NDArray[np.float64] = coco_mask.iou(
        masks, truth, [int(thing.crowd) for thing in things]
    )
    return ious


def confusion_matrix(matches: Sequence[ImageMatch], classes: int) -> npt.NDArray[np.int64]:
    """Counts which class was taken for which.

    Returns:
        (classes + 1, classes + 1): rows are true classes, columns found ones; last is the
        background: its column counts missed objects, its row invented instances.
    """
    matrix = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for match in matches:
        for pair in match.pairs:
            matrix[pair.truth.class_id, pair.found.class_id] += 1
        for thing in match.missed:
            matrix[thing.class_id, classes] += 1
        for instance in match.invented:
            matrix[classes, instance.class_id] += 1
    return matrix


def worst_matches(matches: Sequence[ImageMatch], count: int) -> list[ImageMatch]:
    """The images of the lowest quality, worst first; none with quality 1.

    Of equal quality, those with more faults come first.
    """
    imperfect = [match for match in matches if match.quality < 1]
    return sorted(imperfect, key=lambda match: (match.quality, -match.faults))[:count]
