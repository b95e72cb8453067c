# SPDX-License-Identifier: Apache-2.0
"""Samples of a data set, and their truth in the form that results have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from yolact_ros.datasets.coco import CocoDataset, CocoImage, CocoObject, decode_segmentation
from yolact_ros.structures import Instances, PackedMask


def choose_samples(dataset: CocoDataset, count: int) -> list[CocoImage]:
    """Images that together show all classes, as far as `count` of them can.

    Each next one shows the most classes that are not shown yet, of which one is the rarest; the
    rest are spread evenly over the file.

    Args:
        dataset: Where they are from.
        count: How many.

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


def truth_instances(
    image: CocoImage, class_names: Sequence[str], size: tuple[int, int] | None = None
) -> Instances:
    """The annotations of an image as instances with a score of 1, crowds last.

    Args:
        image: Its annotations have no problems.
        class_names: By class id; " (crowd)" is added to that of crowds.
        size: (height, width) that the image is resized to; None: its own.
    """
    height, width = size or (image.height, image.width)
    things = sorted(image.objects, key=lambda thing: thing.crowd)
    scale = np.array([width / image.width, height / image.height] * 2)
    boxes = [np.clip(scale * thing.box, 0, (width, height) * 2) for thing in things]

    def name(thing: CocoObject) -> str:
        return class_names[thing.class_id] + (" (crowd)" if thing.crowd else "")

    def mask(thing: CocoObject) -> PackedMask:
        pixels = decode_segmentation(thing.segmentation, image.height, image.width)
        if pixels.shape != (height, width):
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST)
        return PackedMask.from_array(pixels.astype(bool))

    return Instances(
        image_size=(height, width),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(len(things), np.float32),
        class_ids=np.array([thing.class_id for thing in things], np.int64),
        class_names=tuple(map(name, things)),
        packed_masks=tuple(map(mask, things)),
    )
