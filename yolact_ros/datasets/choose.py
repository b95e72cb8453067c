# SPDX-License-Identifier: Apache-2.0
"""Chooses images that represent a data set."""

from __future__ import annotations

from collections import Counter

from .coco import CocoDataset, CocoImage


def choose_images(dataset: CocoDataset, count: int) -> list[CocoImage]:
    """Choose images that together show all classes, as far as `count` of them can.

    Each next image shows the rarest class that is still missing and as many other missing classes
    as possible; the rest are spread evenly over the file.

    Returns:
        At most `count` images in the order of the file.
    """
    shows = [{thing.class_id for thing in image.objects} for image in dataset.images]
    frequency = Counter(class_id for classes in shows for class_id in classes)
    missing = set(frequency)
    chosen: set[int] = set()
    while missing and len(chosen) < count:
        rarest = min(missing, key=lambda class_id: (frequency[class_id], class_id))
        candidates = [index for index, classes in enumerate(shows) if rarest in classes]
        best = max(candidates, key=lambda index: (len(shows[index] & missing), -index))
        chosen.add(best)
        missing -= shows[best]
    others = [index for index in range(len(dataset)) if index not in chosen]
    wanted = min(count - len(chosen), len(others))
    chosen.update(others[(2 * step + 1) * len(others) // (2 * wanted)] for step in range(wanted))
    return [dataset.images[index] for index in sorted(chosen)]
