# SPDX-License-Identifier: Apache-2.0
"""Which of two masks a pixel belongs to that is in both.

A network's mask may reach over a neighbour, and where the two touch depth does not tell. But the
neighbour has a mask of its own: most pixels in both are the whole neighbour, or a good part of it,
and a small part of the mask that reaches over it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.structures import PackedMask

SAME_THING = 0.5
"""Masks that share more than this part of either show one thing twice, and are both right."""


def part_overlaps(
    masks: Sequence[PackedMask], crops: Sequence[npt.NDArray[np.uint8]]
) -> list[npt.NDArray[np.uint8]]:
    """Leave pixels that are in two masks to the one that they are the greater part of.

    A mask that would lose more than half of its pixels is left as it is.

    Args:
        masks: N masks, none empty.
        crops: Their pixels within their rectangles, 0 or 1; they are not changed.

    Returns:
        N crops, those that lose nothing being the ones given.
    """
    areas = [cv2.countNonZero(crop) for crop in crops]
    left = list(crops)
    for loser, part, common in _lost(masks, crops, areas):
        if left[loser] is crops[loser]:
            left[loser] = crops[loser].copy()
        left[loser][part] &= ~common
    return [
        rest if 2 * cv2.countNonZero(rest) >= area else crop
        for rest, crop, area in zip(left, crops, areas, strict=True)
    ]


def _lost(
    masks: Sequence[PackedMask], crops: Sequence[npt.NDArray[np.uint8]], areas: Sequence[int]
) -> list[tuple[int, tuple[slice, slice], npt.NDArray[np.uint8]]]:
    """Which mask loses pixels to another: its number, a part of its crop, the pixels of that."""
    top, left = (np.array([getattr(mask, f"{axis}_offset") for mask in masks]) for axis in "yx")
    bottom = top + [mask.height for mask in masks]
    right = left + [mask.width for mask in masks]
    meet = (top[:, None] < bottom) & (left[:, None] < right)
    lost = []
    for i, j in np.argwhere(np.triu(meet & meet.T, 1)):
        y1, y2 = max(top[i], top[j]), min(bottom[i], bottom[j])
        x1, x2 = max(left[i], left[j]), min(right[i], right[j])
        parts = [
            (slice(y1 - top[k], y2 - top[k]), slice(x1 - left[k], x2 - left[k])) for k in (i, j)
        ]
        common = crops[i][parts[0]] & crops[j][parts[1]]
        number = cv2.countNonZero(common)
        share, other_share = number / areas[i], number / areas[j]
        if not number or min(share, other_share) > SAME_THING:
            continue
        # Of equal shares, that of the better score keeps them.
        loses = int(share >= other_share)
        lost.append(((i, j)[loses], parts[loses], common))
    return lost
