# SPDX-License-Identifier: Apache-2.0
"""Prototypes where masks need them: none without detections, and few for few of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from yolact_ros.ops.masks.crop import crop_ranges

from .heads import Protonet

PART_COST = 0.05
"""Of the time for a whole image, that each part of it takes whatever its size."""
WHOLE_FROM = 0.8
"""Of the time for a whole image, that its parts take, from which on the whole is computed."""

_Part = tuple[int, int, int, int]
"""First and last row and first and last column of P3; the last ones are not in it."""


def prototypes_within(
    protonet: Protonet, whole: Callable[[Tensor], Tensor], p3: Tensor, boxes: Sequence[Tensor]
) -> list[Tensor]:
    """Make the prototypes of a batch where the crops of masks by their boxes need them.

    Args:
        protonet: Makes those of parts of an image.
        whole: Makes those of a whole image; the same, or compiled.
        p3: (B, channels, h, w).
        boxes: (N, 4) of each image, in corner form, as fractions of the image.

    Returns:
        (2h, 2w, k) of each image. Outside the crops they are zero, or what lies beyond them.
    """
    return [_of_image(protonet, whole, p3[i : i + 1], boxes[i]) for i in range(len(p3))]


def _of_image(
    protonet: Protonet, whole: Callable[[Tensor], Tensor], p3: Tensor, boxes: Tensor
) -> Tensor:
    height, width = p3.shape[2:]
    ranges = crop_ranges(boxes, (2 * height, 2 * width)).tolist()
    parts = list(_parts(_needed(ranges, protonet.margin, (height, width))))
    area = sum((bottom - top) * (right - left) for top, bottom, left, right in parts)
    if area / (height * width) + PART_COST * len(parts) >= WHOLE_FROM:
        return whole(p3)[0]
    prototypes = p3.new_zeros(2 * height, 2 * width, protonet.prototypes)
    for top, bottom, left, right in parts:
        place = prototypes[2 * top : 2 * bottom, 2 * left : 2 * right]
        place.copy_(protonet(p3[:, :, top:bottom, left:right])[0])
    return prototypes


def _needed(
    ranges: Sequence[Sequence[int]], margin: int, size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """(h, w) pixels of P3 that the prototypes in these ranges depend on."""
    needed = np.zeros(size, bool)
    for x1, x2, y1, y2 in ranges:
        if x1 < x2:
            rows = slice(max(y1 // 2 - margin, 0), -(-y2 // 2) + margin)
            needed[rows, max(x1 // 2 - margin, 0) : -(-x2 // 2) + margin] = True
    return needed


def _parts(needed: npt.NDArray[np.bool_], top: int = 0, left: int = 0) -> Iterator[_Part]:
    """Rectangles around what is needed, apart by rows or columns where nothing is."""
    for y1, y2 in _runs(needed.any(axis=1)):
        for x1, x2 in _runs(needed[y1:y2].any(axis=0)):
            part = needed[y1:y2, x1:x2]
            if part.shape == needed.shape:
                yield top, top + y2, left, left + x2
            else:
                yield from _parts(part, top + y1, left + x1)


def _runs(flags: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last index of each run of True; the last one is not in it."""
    changes = np.flatnonzero(np.diff(flags, prepend=False, append=False)).tolist()
    yield from zip(changes[::2], changes[1::2], strict=True)
