# SPDX-License-Identifier: Apache-2.0
"""How much boxes and masks overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from yolact_ros.structures import PackedMask

_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)
_NOTHING = np.zeros(1, np.uint8)


def box_iou(
    one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4), x1, y1, x2, y2; 0 of none."""
    first, second = one.T[:, :, None].astype(np.float64), other.T[:, None, :].astype(np.float64)
    width = np.minimum(first[2], second[2]) - np.maximum(first[0], second[0])
    height = np.minimum(first[3], second[3]) - np.maximum(first[1], second[1])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    union = _box_areas(first) + _box_areas(second) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _box_areas(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(boxes[2] - boxes[0], 0) * np.maximum(boxes[3] - boxes[1], 0)


def mask_areas(masks: Sequence[PackedMask]) -> npt.NDArray[np.int64]:
    """Number of pixels (N,) of each mask."""
    if not masks:
        return np.zeros(0, np.int64)
    # one byte of nothing after each, so that none is empty
    data = np.concatenate([part for mask in masks for part in (mask.data, _NOTHING)])
    starts = np.cumsum([0, *(len(mask.data) + 1 for mask in masks[:-1])])
    return np.add.reduceat(_BITS[data], starts, dtype=np.int64)


def first_of_each(
    masks: Sequence[PackedMask], areas: npt.NDArray[np.int64], most: float
) -> npt.NDArray[np.int64]:
    """Leave out every mask that shows what an earlier one shows.

    Args:
        masks: Masks, the best first.
        areas: (N,) their numbers of pixels.
        most: Intersection over union above which two masks show the same.

    Returns:
        The indices of the others, rising.
    """
    corners = np.array([(m.x_offset, m.y_offset, m.width, m.height) for m in masks], np.int64)
    x, y, width, height = corners.reshape(-1, 4).T
    right, bottom = x + width, y + height
    across = np.minimum(right[:, None], right) - np.maximum(x[:, None], x)
    along = np.minimum(bottom[:, None], bottom) - np.maximum(y[:, None], y)
    # what two masks share is within both rectangles, and in each of the masks
    common = np.minimum(np.maximum(across, 0) * np.maximum(along, 0), areas)
    possible = np.minimum(common, areas[:, None]) * (1 + most) > most * (areas[:, None] + areas)
    kept = np.ones(len(masks), np.bool_)
    for first, second in zip(*(at.tolist() for at in possible.nonzero()), strict=True):
        if first < second and kept[first] and kept[second]:
            shared = _common(masks[first], masks[second])
            kept[second] = shared <= most * (areas[first] + areas[second] - shared)
    return kept.nonzero()[0]


def _common(one: PackedMask, other: PackedMask) -> int:
    """Number of pixels of both masks."""
    left, right = max(one.x_offset, other.x_offset), min(_right(one), _right(other))
    top = max(one.y_offset, other.y_offset)
    bottom = min(one.y_offset + one.height, other.y_offset + other.height)
    if left >= right or top >= bottom:
        return 0
    first, second = (_bits(mask, left, right, top, bottom) for mask in (one, other))
    return int(np.count_nonzero(first & second))


def _right(mask: PackedMask) -> int:
    return mask.x_offset + mask.width


def _bits(mask: PackedMask, left: int, right: int, top: int, bottom: int) -> npt.NDArray[np.uint8]:
    """The mask's pixels, 0 or 1, in a rectangle of the image within its own."""
    rows = mask.data.reshape(mask.height, mask.step)[top - mask.y_offset : bottom - mask.y_offset]
    begin, end = left - mask.x_offset, right - mask.x_offset
    bytes_of = rows[:, begin // 8 : (end + 7) // 8]
    return np.unpackbits(bytes_of, axis=1)[:, begin % 8 : begin % 8 + end - begin]
