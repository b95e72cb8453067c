# SPDX-License-Identifier: Apache-2.0
"""From prototypes and coefficients to masks at image resolution.

YOLACT paper, section 3.2: M = sigmoid(P C^T), cropped by the box, enlarged, thresholded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .cpu import Axis, crop_logits, pack_mask

MASK_THRESHOLD = 0.5
CROP_PADDING = 1


class PackedMasks(NamedTuple):
    """N masks at image resolution as bits, in one buffer.

    Attributes:
        rectangles: (N, 5) int32 x_offset, y_offset, width, height of each mask's tight rectangle
            in image pixels, and the index of its first byte in `bits`. An empty mask has width and
            height 0.
        bits: (M,) uint8. Mask i is its height rows of ceil(width / 8) bytes each, one bit a pixel,
            most significant bit first. The buffer may be longer than the masks.
    """

    rectangles: Tensor
    bits: Tensor


def crop_bounds(start: Tensor, end: Tensor, size: int, padding: int) -> tuple[Tensor, Tensor]:
    """The published crop along one axis.

    Args:
        start, end: Box sides as fractions, in either order.
        size: Prototype pixels along the axis.
        padding: Prototype pixels added on both sides.

    Returns:
        Bounds (first, last) as float pixels: pixel c stays if first <= c < last.
    """
    first = torch.minimum(start, end) * size - padding
    last = torch.maximum(start, end) * size + padding
    return first.clamp(min=0), last.clamp(max=size)


def crop_masks(masks: Tensor, boxes: Tensor, padding: int = CROP_PADDING) -> Tensor:
    """Sets masks to zero outside their boxes, with whole pixels and no half-pixel offset.

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
    """The prototype pixels that the published crop keeps, in whole numbers.

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


def assemble_masks(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    image_size: tuple[int, int],
    *,
    capacity: int | None = None,
) -> PackedMasks:
    """Assembles the masks of kept detections at image resolution, each inside its box only.

    Equal to enlarging the whole cropped prototype-resolution mask bilinearly
    (align_corners=False) and thresholding it, up to rounding at a mask's border, at a cost that
    follows the boxes' area. Nothing of the size of N images is held.

    Args:
        prototypes: (h, w, k) of one image, after ReLU, of any floating type.
        coefficients: (N, k). N may be 0.
        boxes: (N, 4) in corner form, as fractions of the image. A box that is not a number gives
            an empty mask at no cost, so that rows of a fixed-shape result can be left unused.
        image_size: (height, width) of the image in pixels.
        capacity: Bytes of the result's buffer on a CUDA device. With it nothing waits for the
            device; a mask that does not fit has a start of -1. None asks the device for the size.

    Returns:
        N packed masks, in the order of the boxes, on the device of the prototypes.
    """
    if prototypes.is_cuda:
        from .torch import assemble_on_device

        return assemble_on_device(prototypes, coefficients, boxes, image_size, capacity=capacity)
    return _assemble_on_cpu(prototypes, coefficients, boxes, image_size)


def _assemble_on_cpu(
    prototypes: Tensor, coefficients: Tensor, boxes: Tensor, image_size: tuple[int, int]
) -> PackedMasks:
    height, width, _ = prototypes.shape
    columns = Axis.between(width, image_size[1])
    rows = Axis.between(height, image_size[0])
    values = prototypes.detach().float().contiguous().numpy()
    weights = coefficients.detach().float().numpy()
    rectangles = np.zeros((len(boxes), 5), np.int32)
    pieces = []
    start = 0
    ranges = crop_ranges(boxes.detach(), (height, width)).tolist()
    for i, logits in enumerate(crop_logits(values, weights, ranges)):
        x1, x2, y1, y2 = ranges[i]
        *rectangle, bits = pack_mask(logits, columns, rows, (x1, x2), (y1, y2))
        rectangles[i] = *rectangle, start
        pieces.append(bits.reshape(-1))
        start += bits.size
    flat = np.concatenate(pieces) if pieces else np.zeros(0, np.uint8)
    return PackedMasks(torch.from_numpy(rectangles), torch.from_numpy(flat))
