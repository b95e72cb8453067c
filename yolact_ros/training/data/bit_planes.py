# SPDX-License-Identifier: Apache-2.0
"""Packs masks as bits, eight to a byte.

Masks are transformed along with their image at full resolution, on a canvas that the zoom-out
enlarges up to 16 times. As bits they need an eighth of the memory and time, and are still images
to torchvision: cropping, padding and mirroring do not look at values.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint8]

_BITS = 8
# By bit: what each byte becomes, 255 where the bit is set.
_TABLES = np.where(np.arange(256) >> np.arange(_BITS)[:, None] & 1, 255, 0).astype(np.uint8)


def pack(masks: Iterable[Array], height: int, width: int) -> tuple[Array, list[int]]:
    """Pack masks and count their pixels.

    Args:
        masks: N of (height, width) uint8, 0 and 1, consumed one by one.
        height, width: Of the masks.

    Returns:
        (max(1, ceil(N / 8)), height, width) uint8: mask i is bit i % 8 of plane i // 8; and the
        pixels of each mask.
    """
    planes: list[Array] = []
    areas: list[int] = []
    for index, mask in enumerate(masks):
        # COCO's tools keep columns together, and so do we until all are done.
        columns = np.ascontiguousarray(mask.T)
        areas.append(cv2.countNonZero(columns))
        if index % _BITS:
            planes[-1] |= columns << np.uint8(index % _BITS)
        else:
            planes.append(columns.copy())
    if not planes:
        return np.zeros((1, height, width), np.uint8), []
    return np.stack([cv2.transpose(plane) for plane in planes]), areas


def unpack_one(planes: Array, index: int) -> Array:
    """Return mask `index` as (H, W) uint8 of 0 and 255."""
    mask: Array = cv2.LUT(planes[index // _BITS], _TABLES[index % _BITS])
    return mask
