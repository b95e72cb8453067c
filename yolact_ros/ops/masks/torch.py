# SPDX-License-Identifier: Apache-2.0
"""Assembles masks on a device and packs them there; work and memory follow the boxes' area.

Logits are one matrix product at prototype resolution. Two steps follow over image pixels, each as
a Triton kernel (`triton.py`) or, where Triton is not installed, as torch operations: packing each
box's pixels, then moving the bits of each mask to its tight rectangle. Both end on the device, so
that one transfer brings the finished masks to the host and nothing is trimmed there.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .crop import MASK_THRESHOLD, PackedMasks, crop_ranges

CHUNK_BYTES = 1 << 18
"""Packed bytes that the torch version computes at a time; it holds some 100 values a byte."""


class Regions(NamedTuple):
    """Where each of N masks can have pixels.

    Attributes:
        crops: (N, 4) int32 x_first, x_last, y_first, y_last in prototype pixels.
        pixels: (N, 4) int32 left, right, top, bottom in image pixels.
        starts: (N + 1,) int64 first byte of each region's packed rows, and the end.
    """

    crops: Tensor
    pixels: Tensor
    starts: Tensor


class MaskSteps(Protocol):
    """The two steps over image pixels."""

    def pack(
        self, logits: Tensor, regions: Regions, image_size: tuple[int, int], size: int
    ) -> tuple[Tensor, Tensor]:
        """Enlarge, threshold and pack the regions.

        Args:
            logits: (N, h, w) float32, before the sigmoid.
            regions: Of the masks.
            image_size: (height, width) in pixels.
            size: Bytes of the buffer, at least `regions.starts[-1]`.

        Returns:
            (size,) uint8 packed rows, and (N, 4) int32 left, right, top, bottom of the pixels set,
            left >= right where there is none.
        """

    def trim(self, packed: Tensor, regions: Regions, rectangles: Tensor) -> Tensor:
        """Move each mask to its tight rectangle: (size,) uint8, see `PackedMasks`."""


def assemble_on_device(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    image_size: tuple[int, int],
    steps: MaskSteps,
    *,
    capacity: int | None = None,
) -> PackedMasks:
    """Assemble masks as `yolact_ros.ops.masks.assemble_masks` does, on the prototypes' device.

    Args:
        prototypes, coefficients, boxes, image_size, capacity: See there.
        steps: How image pixels are computed.
    """
    height, width, channels = prototypes.shape
    regions = mask_regions(boxes, (height, width), image_size, capacity)
    size = int(regions.starts[-1]) if capacity is None else capacity
    flat = prototypes.reshape(-1, channels).float()
    logits = (coefficients.float() @ flat.t()).reshape(-1, height, width)
    packed, bounds = steps.pack(logits, regions, image_size, size)
    rectangles = tight_rectangles(regions, bounds)
    return PackedMasks(rectangles, steps.trim(packed, regions, rectangles))


def mask_regions(
    boxes: Tensor,
    prototype_size: tuple[int, int],
    image_size: tuple[int, int],
    capacity: int | None,
) -> Regions:
    """The regions of boxes; one that does not fit into `capacity` bytes is empty."""
    crops = crop_ranges(boxes, prototype_size)
    columns = _image_range(crops[:, 0], crops[:, 1], prototype_size[1], image_size[1])
    rows = _image_range(crops[:, 2], crops[:, 3], prototype_size[0], image_size[0])
    bytes_each = (rows[1] - rows[0]) * ((columns[1] - columns[0] + 7) // 8)
    if capacity is not None:
        fits = bytes_each.cumsum(0) <= capacity
        bytes_each = torch.where(fits, bytes_each, 0)
        columns = (columns[0], torch.where(fits, columns[1], columns[0]))
        crops = torch.where(fits[:, None], crops, -1)
    starts = torch.cat([bytes_each.new_zeros(1), bytes_each.cumsum(0)])
    pixels = torch.stack([*columns, *rows], dim=1)
    return Regions(crops, pixels.to(torch.int32), starts)


def _image_range(first: Tensor, last: Tensor, size: int, image_size: int) -> tuple[Tensor, Tensor]:
    """Image pixels that prototype pixels first <= c < last alone can set: their own area.

    Beyond it the cropped neighbours, which are 0, weigh half or more.
    """
    low = torch.div(first.long() * image_size, size, rounding_mode="floor")
    high = -torch.div(-last.long() * image_size, size, rounding_mode="floor")
    return low, high


def tight_rectangles(regions: Regions, bounds: Tensor) -> Tensor:
    """(N, 5) int32 rectangles of `PackedMasks` from the bounds of the pixels set."""
    left, right, top, bottom = bounds.unbind(1)
    some = left < right
    sides = torch.stack([left, top, right - left, bottom - top], dim=1)
    sides = torch.where(some[:, None], sides, 0)
    bytes_each = sides[:, 3].long() * ((sides[:, 2] + 7) // 8)
    starts = bytes_each.cumsum(0) - bytes_each
    starts = torch.where(regions.crops[:, 0] < 0, -1, starts)
    return torch.cat([sides, starts[:, None].to(torch.int32)], dim=1)


class TorchSteps:
    """The steps as torch operations, a chunk of bytes at a time."""

    def pack(
        self, logits: Tensor, regions: Regions, image_size: tuple[int, int], size: int
    ) -> tuple[Tensor, Tensor]:
        """See `MaskSteps.pack`."""
        count, height, width = logits.shape
        values = _crop(torch.sigmoid(logits), regions.crops).reshape(-1)
        packed = torch.zeros(size, dtype=torch.uint8, device=logits.device)
        bounds = no_bounds(count, logits.device)
        for start in range(0, size, CHUNK_BYTES):
            position = torch.arange(start, min(start + CHUNK_BYTES, size), device=logits.device)
            mask, row, byte = _places(position, regions.starts, regions.pixels, count)
            left, right, top, _ = regions.pixels[mask].long().unbind(1)
            x = (left + byte * 8)[:, None] + torch.arange(8, device=logits.device)
            y = top + row
            x0, x1, x_weight = _neighbours(x, width, image_size[1])
            y0, y1, y_weight = _neighbours(y, height, image_size[0])
            upper, lower = ((mask * height + line) * width for line in (y0, y1))
            above = values[upper[:, None] + x0] * (1 - x_weight) + (
                values[upper[:, None] + x1] * x_weight
            )
            below = values[lower[:, None] + x0] * (1 - x_weight) + (
                values[lower[:, None] + x1] * x_weight
            )
            value = above * (1 - y_weight[:, None]) + below * y_weight[:, None]
            inside = (position < regions.starts[-1])[:, None] & (x < right[:, None])
            pixels = (value > MASK_THRESHOLD) & inside
            packed[start : start + len(position)] = _to_bytes(pixels)
            _widen(bounds, mask, x, y, pixels)
        return packed, bounds

    def trim(self, packed: Tensor, regions: Regions, rectangles: Tensor) -> Tensor:
        """See `MaskSteps.trim`."""
        trimmed = torch.zeros_like(packed)
        count = len(rectangles)
        x, y, width, height, _ = rectangles.long().unbind(1)
        sizes = height * ((width + 7) // 8)
        starts = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        tight = torch.stack([x, x + width, y, y + height], dim=1)
        for start in range(0, len(packed), CHUNK_BYTES):
            position = torch.arange(start, min(start + CHUNK_BYTES, len(packed)), device=x.device)
            mask, row, byte = _places(position, starts, tight, count)
            left, right, top, _ = regions.pixels[mask].long().unbind(1)
            step = (right - left + 7) // 8
            shift = (x[mask] - left) % 8
            column = torch.div(x[mask] - left, 8, rounding_mode="floor") + byte
            source = regions.starts[mask] + (y[mask] - top + row) * step + column
            valid = position < starts[-1]
            first = _bytes_at(packed, source, valid)
            second = _bytes_at(packed, source + 1, valid & (column + 1 < step))
            joined = (first << shift) | (second >> (8 - shift))
            trimmed[start : start + len(position)] = (joined & 0xFF).to(torch.uint8)
        return trimmed


def _crop(values: Tensor, crops: Tensor) -> Tensor:
    """(N, h, w) with 0 outside the crops and for what is not a number."""
    _, height, width = values.shape
    columns = torch.arange(width, device=values.device)
    rows = torch.arange(height, device=values.device)
    x1, x2, y1, y2 = (side[:, None] for side in crops.unbind(1))
    inside_x = (columns >= x1) & (columns < x2)  # (N, w)
    inside_y = (rows >= y1) & (rows < y2)  # (N, h)
    inside = inside_y[:, :, None] & inside_x[:, None] & ~values.isnan()
    return torch.where(inside, values, 0)


def no_bounds(count: int, device: torch.device) -> Tensor:
    """(count, 4) int32 left, right, top, bottom of nothing yet."""
    bounds = torch.zeros((count, 4), dtype=torch.int32, device=device)
    bounds[:, ::2] = torch.iinfo(torch.int32).max
    return bounds


def _places(
    position: Tensor, starts: Tensor, pixels: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Mask, row and byte in the row of positions in a buffer; any mask for those beyond its end."""
    mask = torch.searchsorted(starts, position, right=True) - 1
    mask = mask.clamp(max=count - 1)
    left, right, _, _ = pixels[mask].long().unbind(1)
    step = ((right - left + 7) // 8).clamp(min=1)
    offset = position - starts[mask]
    row = torch.div(offset, step, rounding_mode="floor")
    row = torch.where(position < starts[-1], row, 0)
    return mask, row, offset % step


def _neighbours(pixel: Tensor, size: int, image_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Prototype pixels at or below and above image pixels, and the share of the latter."""
    source = ((pixel.float() + 0.5) * (size / image_size) - 0.5).clamp(min=0)
    below = source.floor()
    first = below.long().clamp(max=size - 1)
    return first, (first + 1).clamp(max=size - 1), source - below


def _to_bytes(pixels: Tensor) -> Tensor:
    """(M, 8) bool to (M,) uint8, the first pixel in the most significant bit."""
    places = 128 >> torch.arange(8, device=pixels.device)
    return (pixels * places).sum(dim=1).to(torch.uint8)


def _widen(bounds: Tensor, mask: Tensor, x: Tensor, y: Tensor, pixels: Tensor) -> None:
    """Widens the bounds of each mask to its pixels: x (M, 8), y (M,), pixels (M, 8)."""
    some = pixels.any(dim=1)
    most = torch.iinfo(torch.int32).max
    sides = (
        (torch.where(pixels, x, most).amin(dim=1), "amin"),
        (torch.where(pixels, x + 1, 0).amax(dim=1), "amax"),
        (torch.where(some, y, most), "amin"),
        (torch.where(some, y + 1, 0), "amax"),
    )
    for i, (values, reduction) in enumerate(sides):
        bounds[:, i].scatter_reduce_(0, mask, values.to(torch.int32), reduction)


def _bytes_at(packed: Tensor, index: Tensor, valid: Tensor) -> Tensor:
    """(M,) int64 bytes of a buffer, 0 where not valid."""
    return torch.where(valid, packed[torch.where(valid, index, 0)].long(), 0)
