# SPDX-License-Identifier: Apache-2.0
"""Triton kernels that pack masks on the device; `TorchSteps` does the same in torch.

Launches have a fixed shape for a number of masks, whatever the boxes: programs take tiles of the
boxes in turn until there is none left, and the list's length is read on the device. Nothing is
read back, so both launches can be captured in a CUDA graph.
"""

# What a kernel takes has no Python type, and Triton need not be installed.
# mypy: disable-error-code="no-untyped-def, import-not-found, import-untyped"

from __future__ import annotations

import torch
from torch import Tensor

from yolact_ros.ops.jit import jit, kernel, tl

from .crop import CROP_PADDING, MASK_THRESHOLD
from .torch import TILE_BYTES, TILE_ROWS, Regions, no_bounds

PROGRAMS = 1024
"""Programs of a launch: some rounds of the largest devices' multiprocessors."""
TRIM_PROGRAMS = 16
TRIM_BYTES = 512
TOGETHER = 1024
"""Masks that the kernels of regions and rectangles take at a time."""
_UNLIMITED = 2**62
_LEAST_SEARCH = 13
"""Steps of a bisection, enough for 8191 masks: one kernel for all their numbers."""

_EXACT = {"enable_fp_fusion": False}
"""Multiplications and additions are rounded one by one, as torch's are."""


class TritonSteps:
    """The steps of `MaskSteps` as one kernel each."""

    def __init__(self, programs: int = PROGRAMS) -> None:
        self._programs = programs

    def regions(
        self, boxes: Tensor, prototype_size: tuple[int, int], sizes: Tensor, room: int | None
    ) -> Regions:
        """See `MaskSteps.regions`."""
        count, device = boxes.shape[0] * boxes.shape[1], boxes.device
        regions = Regions(
            crops=torch.empty((count, 4), dtype=torch.int32, device=device),
            pixels=torch.empty((count, 4), dtype=torch.int32, device=device),
            scales=torch.empty((count, 2), dtype=torch.float32, device=device),
            starts=torch.zeros(count + 1, dtype=torch.int64, device=device),
            tiles=torch.empty(count, dtype=torch.int32, device=device),
        )
        if count:
            _regions[(1,)](
                boxes.contiguous(),
                sizes.contiguous(),
                *regions,
                count,
                boxes.shape[1],
                *prototype_size,
                _UNLIMITED if room is None else room,
                PADDING=CROP_PADDING,
                ROWS=TILE_ROWS,
                BYTES=TILE_BYTES,
                TOGETHER=TOGETHER,
                **_EXACT,
            )
        return regions

    def pack(self, logits: Tensor, regions: Regions, size: int) -> tuple[Tensor, Tensor]:
        """See `MaskSteps.pack`."""
        count, height, width = logits.shape
        packed = torch.empty(size, dtype=torch.uint8, device=logits.device)
        bounds = no_bounds(count, logits.device)
        if count and size:
            _pack[(self._programs,)](
                logits.contiguous(),
                *regions,
                packed,
                bounds,
                count,
                height,
                width,
                SEARCH=max(count.bit_length(), _LEAST_SEARCH),
                THRESHOLD=MASK_THRESHOLD,
                ROWS=TILE_ROWS,
                BYTES=TILE_BYTES,
                **_EXACT,
            )
        return packed, bounds

    def rectangles(self, regions: Regions, bounds: Tensor) -> Tensor:
        """See `MaskSteps.rectangles`."""
        count = len(bounds)
        rectangles = torch.empty((count, 5), dtype=torch.int64, device=bounds.device)
        if count:
            _rectangles[(1,)](regions.crops, bounds, rectangles, count, TOGETHER=TOGETHER)
        return rectangles

    def trim(self, packed: Tensor, regions: Regions, rectangles: Tensor) -> Tensor:
        """See `MaskSteps.trim`."""
        trimmed = torch.empty_like(packed)
        if len(rectangles) and len(packed):
            _trim[(len(rectangles), TRIM_PROGRAMS)](
                packed, regions.pixels, regions.starts, rectangles, trimmed, BYTES=TRIM_BYTES
            )
        return trimmed


@jit
def _crop_range(start, end, size, PADDING: tl.constexpr):
    """Prototype pixels first <= c < last of a box's side, and whether there are any."""
    first = tl.maximum(tl.minimum(start, end) * size - PADDING, 0.0)
    last = tl.minimum(tl.maximum(start, end) * size + PADDING, size * 1.0)
    first = tl.ceil(first)
    last = tl.ceil(last)
    return first, last, (start == start) & (end == end) & (first < last)


@kernel("count", "per_image", "height", "width", "room")
def _regions(
    boxes,  # (M, 4) float32
    sizes,  # (B, 2) int32
    crops,  # (M, 4) int32
    pixels,  # (M, 4) int32
    scales,  # (M, 2) float32
    starts,  # (M + 1,) int64, the first is 0
    tiles,  # (M,) int32
    count,
    per_image,
    height,
    width,
    room,
    PADDING: tl.constexpr,
    ROWS: tl.constexpr,
    BYTES: tl.constexpr,
    TOGETHER: tl.constexpr,
):
    wanted_before = tl.full((), 0, tl.int64)
    taken_before = tl.full((), 0, tl.int64)
    tiles_before = tl.full((), 0, tl.int32)
    for base in range(0, count, TOGETHER):
        mask = base + tl.arange(0, TOGETHER)
        valid = mask < count
        box = boxes + mask * 4
        x1 = tl.load(box, mask=valid, other=0.0)
        y1 = tl.load(box + 1, mask=valid, other=0.0)
        x2 = tl.load(box + 2, mask=valid, other=0.0)
        y2 = tl.load(box + 3, mask=valid, other=0.0)
        image = mask // per_image
        image_height = tl.load(sizes + image * 2, mask=valid, other=1)
        image_width = tl.load(sizes + image * 2 + 1, mask=valid, other=1)
        x_first, x_last, some_x = _crop_range(x1, x2, width, PADDING)
        y_first, y_last, some_y = _crop_range(y1, y2, height, PADDING)
        some = valid & some_x & some_y
        x_first = tl.where(some, x_first, 0.0).to(tl.int32)
        x_last = tl.where(some, x_last, 0.0).to(tl.int32)
        y_first = tl.where(some, y_first, 0.0).to(tl.int32)
        y_last = tl.where(some, y_last, 0.0).to(tl.int32)
        left = x_first * image_width // width
        right = (x_last * image_width + width - 1) // width
        top = y_first * image_height // height
        bottom = (y_last * image_height + height - 1) // height
        wanted = (bottom - top).to(tl.int64) * ((right - left + 7) // 8)
        fits = wanted_before + tl.cumsum(wanted, 0) <= room
        right = tl.where(fits, right, left)
        taken = tl.where(fits, wanted, 0)
        across = (right - left + BYTES * 8 - 1) // (BYTES * 8)
        own_tiles = across * ((bottom - top + ROWS - 1) // ROWS)
        crop = crops + mask * 4
        tl.store(crop, tl.where(fits, x_first, -1), mask=valid)
        tl.store(crop + 1, tl.where(fits, x_last, -1), mask=valid)
        tl.store(crop + 2, tl.where(fits, y_first, -1), mask=valid)
        tl.store(crop + 3, tl.where(fits, y_last, -1), mask=valid)
        pixel = pixels + mask * 4
        tl.store(pixel, left, mask=valid)
        tl.store(pixel + 1, right, mask=valid)
        tl.store(pixel + 2, top, mask=valid)
        tl.store(pixel + 3, bottom, mask=valid)
        down = tl.div_rn(tl.zeros_like(x1) + height, image_height.to(tl.float32))
        tl.store(scales + mask * 2, down, mask=valid)
        along = tl.div_rn(tl.zeros_like(x1) + width, image_width.to(tl.float32))
        tl.store(scales + mask * 2 + 1, along, mask=valid)
        tl.store(starts + mask + 1, taken_before + tl.cumsum(taken, 0), mask=valid)
        tl.store(tiles + mask, tiles_before + tl.cumsum(own_tiles, 0), mask=valid)
        wanted_before += tl.sum(wanted, 0)
        taken_before += tl.sum(taken, 0)
        tiles_before += tl.sum(own_tiles, 0)


@kernel("count")
def _rectangles(crops, bounds, rectangles, count, TOGETHER: tl.constexpr):
    before = tl.full((), 0, tl.int64)
    for base in range(0, count, TOGETHER):
        mask = base + tl.arange(0, TOGETHER)
        valid = mask < count
        bound = bounds + mask * 4
        left = tl.load(bound, mask=valid, other=0)
        right = tl.load(bound + 1, mask=valid, other=0)
        top = tl.load(bound + 2, mask=valid, other=0)
        bottom = tl.load(bound + 3, mask=valid, other=0)
        some = left < right
        width = tl.where(some, right - left, 0).to(tl.int64)
        height = tl.where(some, bottom - top, 0).to(tl.int64)
        size = height * ((width + 7) // 8)
        start = before + tl.cumsum(size, 0) - size
        fits = tl.load(crops + mask * 4, mask=valid, other=0) >= 0
        rectangle = rectangles + mask * 5
        tl.store(rectangle, tl.where(some, left, 0).to(tl.int64), mask=valid)
        tl.store(rectangle + 1, tl.where(some, top, 0).to(tl.int64), mask=valid)
        tl.store(rectangle + 2, width, mask=valid)
        tl.store(rectangle + 3, height, mask=valid)
        tl.store(rectangle + 4, tl.where(fits, start, -1), mask=valid)
        before += tl.sum(size, 0)


@jit
def _source(pixel, size, scale):
    """Prototype pixels at or below and above image pixels, and the share of the latter."""
    source = tl.maximum((pixel.to(tl.float32) + 0.5) * scale - 0.5, 0.0)
    below = tl.floor(source)
    first = tl.minimum(below.to(tl.int32), size - 1)
    return first, tl.minimum(first + 1, size - 1), source - below


@jit
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


@kernel("count", "height", "width")
def _pack(
    logits,  # (M, height, width) float32
    crops,  # (M, 4) int32
    pixels,  # (M, 4) int32
    scales,  # (M, 2) float32
    starts,  # (M + 1,) int64
    tiles,  # (M,) int32 running sum of the tiles of each mask
    packed,  # (size,) uint8
    bounds,  # (M, 4) int32
    count,
    height,
    width,
    SEARCH: tl.constexpr,
    THRESHOLD: tl.constexpr,
    ROWS: tl.constexpr,
    BYTES: tl.constexpr,
):
    total = tl.load(tiles + count - 1)
    for tile in range(tl.program_id(0), total, tl.num_programs(0)):
        mask = tl.program_id(0) * 0  # the first whose tiles end behind this one, by bisection
        end = mask + count
        for _ in range(SEARCH):
            middle = (mask + end) // 2
            later = tl.load(tiles + tl.minimum(middle, count - 1)) > tile
            end = tl.where(later, middle, end)
            mask = tl.where(later, mask, tl.minimum(middle + 1, end))
        local = tile - tl.load(tiles + tl.maximum(mask - 1, 0), mask=mask > 0, other=0)
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
        y0, y1, y_weight = _source(y, height, tl.load(scales + mask * 2))
        x0, x1, x_weight = _source(x, width, tl.load(scales + mask * 2 + 1))
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


@kernel()
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
