# SPDX-License-Identifier: Apache-2.0
"""How many objects of what size a data set has."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median

from yolact_ros.datasets.coco import CocoDataset

SMALL, MEDIUM = 32**2, 96**2
"""COCO's bounds of areas in pixels: small below the first, large from the second on."""


@dataclass(frozen=True)
class ClassStatistics:
    """One class.

    Attributes:
        name: Of the class.
        objects: Crowds not counted.
        images: That have such an object or crowd.
        small, medium, large: Objects by their area, as COCO's figures divide them.
        median_side: Root of the box's area in pixels, the median of all objects; 0 without any.
        crowds: Regions where objects are not told apart.
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
    """A data set.

    Attributes:
        images: How many there are.
        classes: By class id.
        image_sizes: Images by (width, height) in pixels, the most frequent first.
        objects_per_image: Images by their number of objects, crowds not counted, ascending.
    """

    images: int
    classes: tuple[ClassStatistics, ...]
    image_sizes: dict[tuple[int, int], int]
    objects_per_image: dict[int, int]

    @property
    def objects(self) -> int:
        """Objects of all classes, crowds not counted."""
        return sum(each.objects for each in self.classes)

    @property
    def crowds(self) -> int:
        """Crowds of all classes."""
        return sum(each.crowds for each in self.classes)


def statistics_of(dataset: CocoDataset) -> DatasetStatistics:
    """Counts a data set."""
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
        small = sum(area < SMALL for area in areas[class_id])
        large = sum(area >= MEDIUM for area in areas[class_id])
        count = len(areas[class_id])
        return ClassStatistics(
            name=name,
            objects=count,
            images=images[class_id],
            small=small,
            medium=count - small - large,
            large=large,
            median_side=median(sides[class_id]) if count else 0.0,
            crowds=crowds[class_id],
        )

    counts = Counter(sum(not o.crowd for o in image.objects) for image in dataset.images)
    return DatasetStatistics(
        images=len(dataset),
        classes=tuple(of_class(*each) for each in enumerate(dataset.class_names)),
        image_sizes=dict(Counter((i.width, i.height) for i in dataset.images).most_common()),
        objects_per_image=dict(sorted(counts.items())),
    )
