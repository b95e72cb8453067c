# SPDX-License-Identifier: Apache-2.0
"""The ground truth of an image in the form that a network's results have."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from yolact_ros.structures import Instances, PackedMask

from .coco import CocoImage, CocoObject
from .segmentation import decode_segmentation


def truth_instances(
    image: CocoImage, class_names: Sequence[str], size: tuple[int, int] | None = None
) -> Instances:
    """Convert the annotations of an image to instances with a score of 1.

    Args:
        image: Its annotations must have no errors.
        class_names: Name of each class id; " (crowd)" is added for crowds.
        size: (height, width) that the image is resized to; None: its own.

    Returns:
        The instances in the order of the annotations, but crowds last.
    """
    height, width = size or (image.height, image.width)
    things = sorted(image.objects, key=lambda thing: thing.crowd)
    scale = np.array([width / image.width, height / image.height] * 2)
    boxes = [np.clip(scale * thing.box, 0, (width, height) * 2) for thing in things]

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
        class_names=tuple(
            class_names[thing.class_id] + " (crowd)" * thing.crowd for thing in things
        ),
        packed_masks=tuple(map(mask, things)),
    )
