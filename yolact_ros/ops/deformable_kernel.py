# SPDX-License-Identifier: Apache-2.0
"""Triton's kernel that samples the taps of a deformable convolution.

`yolact_ros.ops.deformable.sample_taps` does the same in torch.
"""

# What a kernel takes has no Python type, and Triton need not be installed.
# mypy: disable-error-code="no-untyped-def, import-not-found, import-untyped"

from __future__ import annotations

import torch
from torch import Tensor

from yolact_ros.ops.jit import jit, kernel, tl

SAMPLES = 8
"""Samples that a program takes."""
MOST_CHANNELS = 256
"""Channels that it takes of them."""


def sample_taps_by_kernel(x: Tensor, offsets: Tensor, modulation: Tensor, stride: int) -> Tensor:
    """See `yolact_ros.ops.deformable.sample_taps`."""
    batch, channels, height, width = x.shape
    rows, columns = offsets.shape[2:]
    pixels = x.permute(0, 2, 3, 1).contiguous()  # as it lies with channels last
    samples = torch.empty((batch, rows, columns, 9, channels), dtype=x.dtype, device=x.device)
    count = batch * rows * columns * 9
    together = min(1 << (channels - 1).bit_length(), MOST_CHANNELS)
    _sample[(-(-count // SAMPLES), -(-channels // together))](
        pixels,
        offsets,
        modulation,
        samples,
        *offsets.stride(),
        *modulation.stride(),
        count,
        rows,
        columns,
        height,
        width,
        channels,
        stride,
        SAMPLES=SAMPLES,
        CHANNELS=together,
    )
    return samples


@jit
def _corner(pixels, y, x, height, width, channels, channel, share, real):
    """A pixel's channels (SAMPLES, CHANNELS) times its share: 0 outside the image."""
    inside = real & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    place = tl.where(inside, y, 0.0).to(tl.int32) * width + tl.where(inside, x, 0.0).to(tl.int32)
    values = tl.load(
        pixels[:, None] + place[:, None] * channels + channel[None, :],
        mask=inside[:, None] & (channel < channels)[None, :],
        other=0.0,
    )
    return values.to(tl.float32) * tl.where(inside, share, 0.0)[:, None]


@kernel("count", "rows", "columns", "height", "width", "channels", "stride")
def _sample(
    pixels,  # (B, height, width, channels)
    offsets,  # (B, 18, rows, columns), of any strides
    modulation,  # (B, 9, rows, columns), of any strides
    samples,  # (B, rows, columns, 9, channels)
    offset_image,
    offset_part,
    offset_row,
    offset_column,
    factor_image,
    factor_tap,
    factor_row,
    factor_column,
    count,
    rows,
    columns,
    height,
    width,
    channels,
    stride,
    SAMPLES: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    sample = tl.program_id(0) * SAMPLES + tl.arange(0, SAMPLES)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    valid = sample < count
    tap = sample % 9
    column = (sample // 9) % columns
    row = (sample // 9 // columns) % rows
    image = (sample // 9 // columns // rows).to(tl.int64)
    place = offsets + image * offset_image + row * offset_row + column * offset_column
    dy = tl.load(place + tap * 2 * offset_part, mask=valid, other=0.0).to(tl.float32)
    dx = tl.load(place + (tap * 2 + 1) * offset_part, mask=valid, other=0.0).to(tl.float32)
    place = modulation + image * factor_image + row * factor_row + column * factor_column
    factor = tl.load(place + tap * factor_tap, mask=valid, other=0.0).to(tl.float32)
    y = dy + (row * stride + tap // 3 - 1).to(tl.float32)
    x = dx + (column * stride + tap % 3 - 1).to(tl.float32)
    top = tl.floor(y)
    left = tl.floor(x)
    down = y - top
    right = x - left
    real = valid & (down == down) & (right == right)
    base = pixels + image * height * width * channels
    total = tl.zeros((SAMPLES, CHANNELS), tl.float32)
    for corner in tl.static_range(4):
        lower, later = corner // 2, corner % 2
        share = factor * (down if lower else 1.0 - down) * (right if later else 1.0 - right)
        y, x = top + lower, left + later
        total += _corner(base, y, x, height, width, channels, channel, share, real)
    tl.store(
        samples + sample.to(tl.int64)[:, None] * channels + channel[None, :],
        total.to(samples.dtype.element_ty),
        mask=valid[:, None] & (channel < channels)[None, :],
    )
