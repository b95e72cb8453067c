# SPDX-License-Identifier: Apache-2.0
"""What the host wants of a batch, one part behind the other, so that one copy brings it.

Of B images with N places each: the number of candidates of each image (int64), the masks'
rectangles (int64, only with masks), the detections' summary (float32), the masks' bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from yolact_ros.inference.assemble import join
from yolact_ros.ops.masks import PackedMasks

SUMMARY_COLUMNS = 7
RECTANGLE_COLUMNS = 5


class HostBlock(NamedTuple):
    """Views of a block, or of its beginning, on the host.

    Attributes:
        candidates: (B,) int64.
        rectangles: (B, N, 5) int64 as in `PackedMasks`; none of its rows without masks.
        summary: (B, N, 7) float32, see `BatchDetections.summary`.
        bits: uint8, as many as were brought.
    """

    candidates: npt.NDArray[np.int64]
    rectangles: npt.NDArray[np.int64]
    summary: npt.NDArray[np.float32]
    bits: npt.NDArray[np.uint8]


def join_block(candidates: Tensor, summary: Tensor, masks: PackedMasks | None) -> Tensor:
    """(bytes,) uint8 of the parts, on their device."""
    if masks is None:
        return join([candidates, summary])
    return join([candidates, masks.rectangles, summary, masks.bits])  # the widest come first


def head_bytes(images: int, places: int, *, masks: bool) -> int:
    """Bytes of a block before the masks' bits."""
    rectangle = 8 * RECTANGLE_COLUMNS if masks else 0
    return 8 * images + images * places * (rectangle + 4 * SUMMARY_COLUMNS)


def read_block(data: npt.NDArray[np.uint8], images: int, places: int, *, masks: bool) -> HostBlock:
    """The parts of a block, or of so much of it as was brought, as views of `data`."""
    rows = places if masks else 0
    ends = np.cumsum([8 * images, 8 * RECTANGLE_COLUMNS * images * rows])
    head = head_bytes(images, places, masks=masks)
    return HostBlock(
        candidates=data[: ends[0]].view(np.int64),
        rectangles=data[ends[0] : ends[1]].view(np.int64).reshape(images, rows, RECTANGLE_COLUMNS),
        summary=data[ends[1] : head].view(np.float32).reshape(images, places, SUMMARY_COLUMNS),
        bits=data[head:],
    )
