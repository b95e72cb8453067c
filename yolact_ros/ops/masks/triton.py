# SPDX-License-Identifier: Apache-2.0
"""Triton kernels that pack masks on the device; `TorchSteps` does the same in torch.

Launches have a fixed shape for a number of masks, whatever the boxes: programs take tiles of the
boxes in turn until there is none left, and the list's length is read on the device. Nothing is
read back, so both launches can be captured in a CUDA graph.
"""

# What a kernel takes has no Python type, and Triton need not be installed.
# mypy: disable-error-code="no-untyped-def, import-not-found, import-untyped"

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .crop import MASK_THRESHOLD
from .torch import Regions, no_bounds

try:
    import triton
    import triton.language as tl
except ImportError:  # the module is imported all the same; see `device_steps`
    triton = None


def _jit(function: Any) -> Any:
    return function if triton is None else triton.jit(function)


TILE_ROWS = 8
TILE_BYTES = 16
PROGRAMS = 1024
"""Programs of a launch: some rounds of the largest devices' multiprocessors."""
TRIM_PROGRAMS = 16
TRIM_BYTES = 512


class TritonSteps:
    """The steps of `MaskSteps` as one kernel each."""

    def __init__(self, programs: int = PROGRAMS) -> None:
        self._programs = programs

    def pack(
        self, logits: Tensor, regions: Regions, image_size: tuple[int, int], size: int
    ) -> tuple[Tensor, Tensor]:
        """See `MaskSteps.pack`."""
        count, height, width = logits.shape
        packed = torch.empty(size, dtype=torch.uint8, device=logits.device)
        bounds = no_bounds(count, logits.device)
        if count == 0 or size == 0:
            return packed, bounds
        left, right, top, bottom = regions.pixels.unbind(1)
        across = (right - left + TILE_BYTES * 8 - 1) // (TILE_BYTES * 8)
        tiles = (across * ((bottom - top + TILE_ROWS - 1) // TILE_ROWS)).cumsum(0).to(torch.int32)
        _pack[(self._programs,)](
            logits.contiguous(),
            regions.crops.contiguous(),
            regions.pixels.contiguous(),
            regions.starts.contiguous(),
            tiles,
            packed,
            bounds,
            count,
            height,
            width,
            height / image_size[0],
            width / image_size[1],
            MASKS=triton.next_power_of_2(count),
            THRESHOLD=MASK_THRESHOLD,
            ROWS=TILE_ROWS,
            BYTES=TILE_BYTES,
        )
        return packed, bounds

    def trim(self, packed: Tensor, regions: Regions, rectangles: Tensor) -> Tensor:
        """See `MaskSteps.trim`."""
        trimmed = torch.empty_like(packed)
        if len(rectangles) and len(packed):
            _trim[(len(rectangles), TRIM_PROGRAMS)](
                packed,
                regions.pixels.contiguous(),
                regions.starts.contiguous(),
                rectangles.contiguous(),
                trimmed,
                BYTES=TRIM_BYTES,
            )
        return trimmed


@_jit
def _source(pixel, size, scale):
    """Prototype pixels at or below and above image pixels, and the share of the latter."""
    source = tl.maximum((pixel.to(tl.float32) + 0.5) * scale - 0.5, 0.0)
    below = tl.floor(source)
    first = tl.minimum(below.to(tl.int32), size - 1)
    return first, tl.minimum(first + 1, size - 1), source - below


@_jit
def _value(plane, width, row, column, crop, needed):
    """Cropped mask values (ROWS, PIXELS) at prototype rows (ROWS,) and columns (PIXELS,)."""
    x_first = tl.load(crop)
    x_last = tl.load(crop + 1)
    y_first = tl.load(crop + 2)
    y_last = tl.load(crop + 3)
    inside_x = (column >= x_first) & (column < x_last)
    inside_y = (row >= y_first) & (row < y_last)
    inside = inside_y[:, None] & inside_x[None, :] & needed
    places = plane + row[:, None] * width + column[None, :]
    logit = tl.load(places, mask=inside, other=0.0)
    value = 1.0 / (1.0 + tl.exp(-logit))
    return tl.where(inside & (logit == logit), value, 0.0)  # 0 for what is not a number


@_jit
def _pack(
    logits,  # (N, height, width) float32
    crops,  # (N, 4) int32
    pixels,  # (N, 4) int32
    starts,  # (N + 1,) int64
    tiles,  # (N,) int32 running sum of the tiles of each mask
    packed,  # (size,) uint8
    bounds,  # (N, 4) int32
    count,
    height,
    width,
    scale_y,
    scale_x,
    MASKS: tl.constexpr,
    THRESHOLD: tl.constexpr,
    ROWS: tl.constexpr,
    BYTES: tl.constexpr,
):
    masks = tl.arange(0, MASKS)
    ends = tl.load(tiles + masks, mask=masks < count, other=2147483647)
    total = tl.load(tiles + count - 1)
    for tile in range(tl.program_id(0), total, tl.num_programs(0)):
        before = ends <= tile
        mask = tl.sum(before.to(tl.int32), axis=0)
        local = tile - tl.max(tl.where(before, ends, 0), axis=0)
        left = tl.load(pixels + mask * 4)
        right = tl.load(pixels + mask * 4 + 1)
        top = tl.load(pixels + mask * 4 + 2)
        bottom = tl.load(pixels + mask * 4 + 3)
        step = (right - left + 7) // 8
        across = (step + BYTES - 1) // BYTES
        row = (local // across) * ROWS + tl.arange(0, ROWS)
        byte = (local % across) * BYTES
        y = top + row
        x = left + byte * 8 + tl.arange(0, BYTES * 8)
        needed = (y < bottom)[:, None] & (x < right)[None, :]
        y0, y1, y_weight = _source(y, height, scale_y)
        x0, x1, x_weight = _source(x, width, scale_x)
        plane = logits + mask.to(tl.int64) * height * width
        crop = crops + mask * 4
        x_weight = x_weight[None, :]
        y_weight = y_weight[:, None]
        above = _value(plane, width, y0, x0, crop, needed) * (1.0 - x_weight)
        above += _value(plane, width, y0, x1, crop, needed) * x_weight
        below = _value(plane, width, y1, x0, crop, needed) * (1.0 - x_weight)
        below += _value(plane, width, y1, x1, crop, needed) * x_weight
        value = above * (1.0 - y_weight) + below * y_weight
        mine = (value > THRESHOLD) & needed
        bits = tl.reshape(mine.to(tl.int32), (ROWS, BYTES, 8))
        places = (1 << (7 - tl.arange(0, 8)))[None, None, :]
        column = byte + tl.arange(0, BYTES)
        targets = tl.load(starts + mask) + row[:, None].to(tl.int64) * step + column[None, :]
        written = (y < bottom)[:, None] & (column < step)[None, :]
        tl.store(packed + targets, tl.sum(bits * places, axis=2).to(tl.uint8), mask=written)
        x_set = tl.max(mine.to(tl.int32), axis=0) > 0
        y_set = tl.max(mine.to(tl.int32), axis=1) > 0
        if tl.max(y_set.to(tl.int32), axis=0) > 0:
            bound = bounds + mask * 4
            tl.atomic_min(bound, tl.min(tl.where(x_set, x, 2147483647), axis=0))
            tl.atomic_max(bound + 1, tl.max(tl.where(x_set, x + 1, 0), axis=0))
            tl.atomic_min(bound + 2, tl.min(tl.where(y_set, y, 2147483647), axis=0))
            tl.atomic_max(bound + 3, tl.max(tl.where(y_set, y + 1, 0), axis=0))


@_jit
def _trim(packed, pixels, starts, rectangles, trimmed, BYTES: tl.constexpr):
    mask = tl.program_id(0)
    left = tl.load(pixels + mask * 4)
    right = tl.load(pixels + mask * 4 + 1)
    top = tl.load(pixels + mask * 4 + 2)
    x = tl.load(rectangles + mask * 5)
    y = tl.load(rectangles + mask * 5 + 1)
    width = tl.load(rectangles + mask * 5 + 2)
    height = tl.load(rectangles + mask * 5 + 3)
    start = tl.load(rectangles + mask * 5 + 4)
    source_step = (right - left + 7) // 8
    step = (width + 7) // 8
    shift = (x - left) % 8
    origin = packed + tl.load(starts + mask) + (y - top).to(tl.int64) * source_step
    size = height * step
    for base in range(tl.program_id(1) * BYTES, size, tl.num_programs(1) * BYTES):
        place = base + tl.arange(0, BYTES)
        valid = place < size
        row = place // step
        column = (x - left) // 8 + place % step
        source = origin + row * source_step + column
        first = tl.load(source, mask=valid, other=0).to(tl.int32)
        second = tl.load(source + 1, mask=valid & (column + 1 < source_step), other=0)
        joined = (first << shift) | (second.to(tl.int32) >> (8 - shift))
        tl.store(trimmed + start + place, (joined & 255).to(tl.uint8), mask=valid)
