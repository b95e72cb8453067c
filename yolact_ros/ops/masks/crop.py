# SPDX-License-Identifier: Apache-2.0
"""The published crop of masks by their boxes, and what assembled masks are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MASK_THRESHOLD = 0.5
"""A pixel belongs to a mask if the enlarged sigmoid is above this."""
CROP_PADDING = 1
"""Prototype pixels by which a box is enlarged on every side before it crops its mask."""


class PackedMasks(NamedTuple):
    """N masks at image resolution as bits, in one buffer.

    Attributes:
        rectangles: (N, 5) int64 x_offset, y_offset, width, height of each mask's tight rectangle
            in image pixels, and the index of its first byte in `bits`. An empty mask has width and
            height 0. The index is -1 where the buffer had no room for the mask.
        bits: (M,) uint8. Mask i has height rows of ceil(width / 8) bytes, one bit per pixel, most
            significant bit first. The buffer may be longer than the masks.
    """

    rectangles: Tensor
    bits: Tensor


def crop_bounds(start: Tensor, end: Tensor, size: int, padding: int) -> tuple[Tensor, Tensor]:
    """Bounds of the published crop along one axis.

    Args:
        start, end: Box sides as fractions, in either order.
        size: Prototype pixels along the axis.
        padding: Prototype pixels added on each side.

    Returns:
        Bounds (first, last) as float pixels: pixel c stays if first <= c < last.
    """
    first = torch.minimum(start, end) * size - padding
    last = torch.maximum(start, end) * size + padding
    return first.clamp(min=0), last.clamp(max=size)


def crop_masks(masks: Tensor, boxes: Tensor, padding: int = CROP_PADDING) -> Tensor:
    """Set masks to zero outside their boxes, with whole pixels and no half-pixel offset.

    Args:
        masks: (h, w, N).
        boxes: (N, 4) in corner form, as fractions of the image.
        padding: Pixels added around each box.

    Returns:
        (h, w, N).
    """
    height, width, _ = masks.shape
    x1, x2 = crop_bounds(boxes[:, 0], boxes[:, 2], width, padding)
    y1, y2 = crop_bounds(boxes[:, 1], boxes[:, 3], height, padding)
    columns = torch.arange(width, device=masks.device, dtype=boxes.dtype)[:, None]
    rows = torch.arange(height, device=masks.device, dtype=boxes.dtype)[:, None]
    inside_x = (columns >= x1) & (columns < x2)  # (w, N)
    inside_y = (rows >= y1) & (rows < y2)  # (h, N)
    return masks * (inside_y[:, None] & inside_x[None]).to(masks.dtype)


def crop_ranges(boxes: Tensor, prototype_size: tuple[int, int]) -> Tensor:
    """Ranges of the prototype pixels that the published crop keeps.

    Args:
        boxes: (N, 4) in corner form, as fractions of the image.
        prototype_size: (height, width) of the prototypes.

    Returns:
        (N, 4) int32 x_first, x_last, y_first, y_last: pixel c stays if first <= c < last; all 0
        where nothing stays: outside the image, or a side that is not a number.
    """
    height, width = prototype_size
    x1, x2 = crop_bounds(boxes[:, 0], boxes[:, 2], width, CROP_PADDING)
    y1, y2 = crop_bounds(boxes[:, 1], boxes[:, 3], height, CROP_PADDING)
    bounds = torch.stack([x1, x2, y1, y2], dim=1)
    # A side that is not a number makes both bounds so, and then nothing is kept, as published.
    ranges = bounds.nan_to_num().ceil()
    kept = (ranges[:, 0] < ranges[:, 1]) & (ranges[:, 2] < ranges[:, 3])
    return (ranges * kept[:, None]).to(torch.int32)
