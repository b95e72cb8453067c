# SPDX-License-Identifier: Apache-2.0
"""From prototypes and coefficients to masks at image resolution.

YOLACT paper, section 3.2: M = sigmoid(P C^T), cropped by the box, enlarged, thresholded.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

MASK_THRESHOLD = 0.5
CROP_PADDING = 1
REGION_PADDING = 3
"""Prototype pixels around the box that can still reach a mask pixel: 1 of the crop, 1 of the
bilinear enlargement, and 1 for rounding."""


class MaskRegion(NamedTuple):
    """A thresholded mask on the part of the image where it can have pixels.

    Attributes:
        x_offset, y_offset: Image column and row of the first pixel.
        mask: (h, w) bool, on the device of the prototypes; h or w may be 0.
    """

    x_offset: int
    y_offset: int
    mask: Tensor


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


def assemble_masks(
    prototypes: Tensor, coefficients: Tensor, boxes: Tensor, image_size: tuple[int, int]
) -> list[MaskRegion]:
    """Assembles the masks of kept detections at image resolution, each inside its padded box only.

    Equal to enlarging the whole cropped prototype-resolution mask bilinearly
    (align_corners=False) and thresholding it, at a cost that follows the boxes' area.

    Args:
        prototypes: (h, w, k) of one image, after ReLU.
        coefficients: (N, k).
        boxes: (N, 4) in corner form, as fractions of the image.
        image_size: (height, width) of the image in pixels.

    Returns:
        N regions, in the order of the boxes.
    """
    height, width, _ = prototypes.shape
    x1, x2 = crop_bounds(boxes[:, 0], boxes[:, 2], width, CROP_PADDING)
    y1, y2 = crop_bounds(boxes[:, 1], boxes[:, 3], height, CROP_PADDING)
    bounds = torch.stack([x1, x2, y1, y2], dim=1).tolist()  # one transfer for all boxes
    return [
        _assemble_mask(prototypes, coefficients[i], bounds[i], image_size)
        for i in range(len(bounds))
    ]


def _assemble_mask(
    prototypes: Tensor, coefficients: Tensor, bounds: list[float], image_size: tuple[int, int]
) -> MaskRegion:
    x1, x2, y1, y2 = bounds
    columns = _Axis.around(x1, x2, size=prototypes.shape[1], image_size=image_size[1])
    rows = _Axis.around(y1, y2, size=prototypes.shape[0], image_size=image_size[0])
    if columns.empty or rows.empty:
        nothing = torch.zeros((0, 0), dtype=torch.bool, device=prototypes.device)
        return MaskRegion(0, 0, nothing)
    patch = prototypes[rows.low : rows.high, columns.low : columns.high]
    mask = torch.sigmoid(patch @ coefficients)  # (h, w)
    mask[: rows.first - rows.low] = 0
    mask[rows.last - rows.low :] = 0
    mask[:, : columns.first - columns.low] = 0
    mask[:, columns.last - columns.low :] = 0
    mask = rows.enlarge(columns.enlarge(mask.t()).t())
    return MaskRegion(columns.image_low, rows.image_low, mask > MASK_THRESHOLD)


class _Axis(NamedTuple):
    """One axis of a region: what is kept, computed and enlarged.

    Attributes:
        first, last: Prototype pixels that the crop keeps, first <= c < last.
        low, high: Prototype pixels that are computed.
        image_low, image_high: Image pixels that are written.
        scale: Prototype pixels a image pixel.
    """

    first: int
    last: int
    low: int
    high: int
    image_low: int
    image_high: int
    scale: float

    @classmethod
    def around(cls, start: float, end: float, size: int, image_size: int) -> _Axis:
        # A box with NaN sides keeps nothing, as the comparisons of the published crop do.
        first = math.ceil(start) if start == start else size
        last = min(math.ceil(end), size) if end == end else 0
        scale = size / image_size
        low = max(first - REGION_PADDING, 0)
        high = min(last + REGION_PADDING, size)
        image_low = min(max(math.floor((first - 1) / scale) - 1, 0), image_size)
        image_high = max(min(math.ceil((last + 1) / scale) + 1, image_size), 0)
        return cls(first, last, low, high, image_low, image_high, scale)

    @property
    def empty(self) -> bool:
        return self.first >= self.last or self.image_low >= self.image_high

    def enlarge(self, values: Tensor) -> Tensor:
        """(high - low, m) to (image_high - image_low, m): bilinear, align_corners=False."""
        pixels = torch.arange(
            self.image_low, self.image_high, device=values.device, dtype=torch.float32
        )
        source = ((pixels + 0.5) * self.scale - 0.5).clamp(min=0)
        below = source.floor()
        weight = (source - below)[:, None].to(values.dtype)
        # Beyond the computed part everything is zero, like its outermost rows (see REGION_PADDING),
        # and at the image's border the outermost row repeats.
        lower = (below.long() - self.low).clamp(0, len(values) - 1)
        upper = (below.long() - self.low + 1).clamp(0, len(values) - 1)
        return values[lower] * (1 - weight) + values[upper] * weight
