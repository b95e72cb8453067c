# SPDX-License-Identifier: Apache-2.0
"""Instances that are made up."""

from collections.abc import Sequence

import numpy as np

from yolact_ros.structures import Instances, PackedMask


def instances_of(
    masks: Sequence[np.ndarray],
    scores: Sequence[float] | None = None,
    class_ids: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
) -> Instances:
    """Instances of (H, W) bool masks, at least one, with the boxes around their pixels.

    Scores fall from 1 to 0.5, class ids are 0, names are made of the ids, unless they are given.
    """
    count = len(masks)
    ids = [0] * count if class_ids is None else class_ids
    return Instances(
        image_size=masks[0].shape,
        boxes=np.array([_box(mask) for mask in masks], np.float32),
        scores=np.array(np.linspace(1, 0.5, count) if scores is None else scores, np.float32),
        class_ids=np.array(ids, np.int64),
        class_names=tuple(class_names or (f"class {number}" for number in ids)),
        packed_masks=tuple(PackedMask.from_array(mask) for mask in masks),
    )


def _box(mask: np.ndarray) -> list[int]:
    pixels = np.argwhere(mask)
    if not len(pixels):
        return [0, 0, 0, 0]
    return [*pixels.min(0)[::-1], *(pixels.max(0)[::-1] + 1)]
