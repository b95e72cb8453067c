# SPDX-License-Identifier: Apache-2.0
"""Counts the objects of a data set by class and size."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from .coco import CocoDataset

SIZES = {"small": 32**2, "medium": 96**2, "large": float("inf")}
"""COCO's size classes, each with the area in pixels at which the next one begins."""


def count_sizes(areas: Iterable[float]) -> dict[str, int]:
    """Count areas in pixels by size class."""
    counts = dict.fromkeys(SIZES, 0)
    for area in areas:
        counts[next(name for name, end in SIZES.items() if area < end)] += 1
    return counts


@dataclass(frozen=True)
class ClassStatistics:
    """The counts of one class.

    Attributes:
        name: Class name.
        objects: Number of objects without crowds.
        images: Number of images with at least one such object or crowd.
        small, medium, large: Number of objects in each size class, see `SIZES`.
        median_side: Median over objects of the square root of the box area, in pixels; 0 if there
            are none.
        crowds: Number of regions whose objects are not annotated one by one.
    """

    name: str
    objects: int
    images: int
    small: int
    medium: int
    large: int
    median_side: float
    crowds: int


@dataclass(frozen=True)
class DatasetStatistics:
    """The counts of a data set.

    Attributes:
        images: Number of images.
        classes: Counts by class id.
        image_sizes: Number of images by (width, height) in pixels, most frequent first.
        objects_per_image: Number of images by number of objects without crowds, ascending.
    """

    images: int
    classes: tuple[ClassStatistics, ...]
    image_sizes: dict[tuple[int, int], int]
    objects_per_image: dict[int, int]

    @property
    def objects(self) -> int:
        """Number of objects of all classes without crowds."""
        return sum(each.objects for each in self.classes)

    @property
    def crowds(self) -> int:
        """Number of crowds of all classes."""
        return sum(each.crowds for each in self.classes)


def statistics_of(dataset: CocoDataset) -> DatasetStatistics:
    """Count the objects of a data set."""
    areas: dict[int, list[float]] = defaultdict(list)
    sides: dict[int, list[float]] = defaultdict(list)
    images: Counter[int] = Counter()
    crowds: Counter[int] = Counter()
    for image in dataset.images:
        images.update({thing.class_id for thing in image.objects})
        for thing in image.objects:
            if thing.crowd:
                crowds[thing.class_id] += 1
                continue
            x1, y1, x2, y2 = thing.box
            areas[thing.class_id].append(thing.area)
            sides[thing.class_id].append(((x2 - x1) * (y2 - y1)) ** 0.5)

    def of_class(class_id: int, name: str) -> ClassStatistics:
        return ClassStatistics(
            name=name,
            objects=len(areas[class_id]),
            images=images[class_id],
            **count_sizes(areas[class_id]),
            median_side=median(sides[class_id]) if sides[class_id] else 0.0,
            crowds=crowds[class_id],
        )

    counts = Counter(sum(not o.crowd for o in image.objects) for image in dataset.images)
    return DatasetStatistics(
        images=len(dataset),
        classes=tuple(of_class(*each) for each in enumerate(dataset.class_names)),
        image_sizes=dict(Counter((i.width, i.height) for i in dataset.images).most_common()),
        objects_per_image=dict(sorted(counts.items())),
    )
