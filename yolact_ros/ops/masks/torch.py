# SPDX-License-Identifier: Apache-2.0
"""Assembles the masks of a batch on a device and packs them there.

Work and memory follow the boxes' area. Logits are one matrix product at prototype resolution. The
steps that follow over image pixels are Triton's kernels (`triton.py`) or, where those cannot be
built, torch operations: where each box's pixels lie, packing them, and moving the bits of each mask
to its tight rectangle. All ends on the device, so that one transfer brings the finished masks to
the host and nothing is trimmed there.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .crop import MASK_THRESHOLD, PackedMasks, crop_ranges

CHUNK_BYTES = 1 << 18
"""Packed bytes that the torch version computes at a time; it holds some 100 values a byte."""
TILE_ROWS = 8
TILE_BYTES = 16
"""The kernels take regions tile by tile: rows and packed bytes of one."""


class Regions(NamedTuple):
    """Where each of M masks can have pixels.

    Attributes:
        crops: (M, 4) int32 x_first, x_last, y_first, y_last in prototype pixels; -1 for a mask that
            does not fit into the room.
        pixels: (M, 4) int32 left, right, top, bottom in image pixels.
        scales: (M, 2) float32 prototype pixels of an image pixel, down and across.
        starts: (M + 1,) int64 first byte of each region's packed rows, and the end.
        tiles: (M,) int32 running sum of each region's tiles.
    """

    crops: Tensor
    pixels: Tensor
    scales: Tensor
    starts: Tensor
    tiles: Tensor


class MaskSteps(Protocol):
    """The steps around and over image pixels; M masks are those of all images of a batch."""

    def regions(
        self, boxes: Tensor, prototype_size: tuple[int, int], sizes: Tensor, room: int | None
    ) -> Regions:
        """The regions of boxes; see `mask_regions`."""

    def pack(self, logits: Tensor, regions: Regions, size: int) -> tuple[Tensor, Tensor]:
        """Enlarge, threshold and pack the regions.

        Args:
            logits: (M, h, w) float32, before the sigmoid.
            regions: Of the masks.
            size: Bytes of the buffer, at least `regions.starts[-1]`.

        Returns:
            (size,) uint8 packed rows, and (M, 4) int32 left, right, top, bottom of the pixels set,
            left >= right where there is none.
        """

    def rectangles(self, regions: Regions, bounds: Tensor) -> Tensor:
        """The rectangles of `PackedMasks` from the bounds of the pixels set."""

    def trim(self, packed: Tensor, regions: Regions, rectangles: Tensor) -> Tensor:
        """Move each mask to its tight rectangle: (size,) uint8, see `PackedMasks`."""


def assemble_batch(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    sizes: Tensor,
    steps: MaskSteps,
    room: int | None = None,
) -> PackedMasks:
    """Assemble the masks of B images with N boxes each, as `assemble_masks` does for one image.

    Args:
        prototypes: (B, h, w, k) after ReLU, of any floating type.
        coefficients: (B, N, k). N may be 0.
        boxes: (B, N, 4) in corner form, as fractions of their image. A box that is not a number
            gives an empty mask at no cost, so that places of a fixed number can be left unused.
        sizes: (B, 2) int32 height and width of each image in pixels, on the device.
        steps: How image pixels are computed.
        room: Bytes of the result's buffer. With it nothing waits for the device; a mask that does
            not fit has a start of -1. None asks the device how many it takes.

    Returns:
        B * N packed masks, image by image in the order of the boxes, on the device.
    """
    _, height, width, _ = prototypes.shape
    regions = steps.regions(boxes, (height, width), sizes, room)
    size = int(regions.starts[-1]) if room is None else room
    flat = prototypes.flatten(1, 2).float()  # (B, h * w, k)
    logits = (coefficients.float() @ flat.transpose(1, 2)).reshape(-1, height, width)
    packed, bounds = steps.pack(logits, regions, size)
    rectangles = steps.rectangles(regions, bounds)
    return PackedMasks(rectangles, steps.trim(packed, regions, rectangles))


def mask_regions(
    boxes: Tensor, prototype_size: tuple[int, int], sizes: Tensor, room: int | None
) -> Regions:
    """The regions of boxes (B, N, 4) in images of sizes (B, 2); empty what does not fit in `room`.

    With the first mask that does not fit, no later one does.
    """
    height, width = prototype_size
    crops = crop_ranges(boxes.reshape(-1, 4), prototype_size)
    sizes = sizes.repeat_interleave(boxes.shape[1], dim=0, output_size=len(crops))
    image_height, image_width = sizes.unbind(1)
    left, right = _image_range(crops[:, 0], crops[:, 1], width, image_width)
    top, bottom = _image_range(crops[:, 2], crops[:, 3], height, image_height)
    bytes_each = (bottom - top) * ((right - left + 7) // 8)
    if room is not None:
        fits = bytes_each.cumsum(0) <= room
        bytes_each = torch.where(fits, bytes_each, 0)
        right = torch.where(fits, right, left)
        crops = torch.where(fits[:, None], crops, -1)
    starts = torch.cat([bytes_each.new_zeros(1), bytes_each.cumsum(0)])
    pixels = torch.stack([left, right, top, bottom], dim=1).to(torch.int32)
    across = (right - left + TILE_BYTES * 8 - 1) // (TILE_BYTES * 8)
    tiles = across * ((bottom - top + TILE_ROWS - 1) // TILE_ROWS)
    prototypes = torch.stack(
        [torch.full_like(image_height, height), torch.full_like(image_width, width)], dim=1
    )
    return Regions(crops, pixels, prototypes / sizes, starts, tiles.cumsum(0).to(torch.int32))


def _image_range(
    first: Tensor, last: Tensor, size: int, image_size: Tensor
) -> tuple[Tensor, Tensor]:
    """Image pixels that prototype pixels first <= c < last alone can set: their own area.

    Beyond it the cropped neighbours, which are 0, weigh half or more.
    """
    low = torch.div(first.long() * image_size, size, rounding_mode="floor")
    high = -torch.div(-last.long() * image_size, size, rounding_mode="floor")
    return low, high


def tight_rectangles(regions: Regions, bounds: Tensor) -> Tensor:
    """(M, 5) int64 rectangles of `PackedMasks` from the bounds of the pixels set."""
    left, right, top, bottom = bounds.long().unbind(1)
    some = left < right
    sides = torch.stack([left, top, right - left, bottom - top], dim=1)
    sides = torch.where(some[:, None], sides, 0)
    bytes_each = sides[:, 3] * ((sides[:, 2] + 7) // 8)
    starts = bytes_each.cumsum(0) - bytes_each
    starts = torch.where(regions.crops[:, 0] < 0, -1, starts)
    return torch.cat([sides, starts[:, None]], dim=1)


class TorchSteps:
    """The steps as torch operations, a chunk of bytes at a time."""

    def regions(
        self, boxes: Tensor, prototype_size: tuple[int, int], sizes: Tensor, room: int | None
    ) -> Regions:
        """See `MaskSteps.regions`."""
        return mask_regions(boxes, prototype_size, sizes, room)

    def pack(self, logits: Tensor, regions: Regions, size: int) -> tuple[Tensor, Tensor]:
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
            down, across = regions.scales[mask].unbind(1)
            x0, x1, x_weight = _neighbours(x, width, across[:, None])
            y0, y1, y_weight = _neighbours(y, height, down)
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

    def rectangles(self, regions: Regions, bounds: Tensor) -> Tensor:
        """See `MaskSteps.rectangles`."""
        return tight_rectangles(regions, bounds)

    def trim(self, packed: Tensor, regions: Regions, rectangles: Tensor) -> Tensor:
        """See `MaskSteps.trim`."""
        trimmed = torch.zeros_like(packed)
        count = len(rectangles)
        x, y, width, height, _ = rectangles.unbind(1)
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
    bounds[:, ::2].fill_(torch.iinfo(torch.int32).max)
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


def _neighbours(pixel: Tensor, size: int, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Prototype pixels at or below and above image pixels, and the share of the latter."""
    source = ((pixel.float() + 0.5) * scale - 0.5).clamp(min=0)
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
