# SPDX-License-Identifier: Apache-2.0
"""Triton's kernel that resizes and normalises a frame into its place of a batch.

`NormalizedResize` does the same in torch, with tables for each size; here sizes are arguments.
"""

# What a kernel takes has no Python type, and Triton need not be installed.
# mypy: disable-error-code="no-untyped-def, import-not-found, import-untyped"

from __future__ import annotations

import numpy as np
from torch import Tensor

from yolact_ros.ops.jit import jit, kernel, tl

COLUMNS = 256


def resize_into(
    frame: Tensor, place: Tensor, *, reverse: bool, scale: Tensor, shift: Tensor
) -> None:
    """Resize a frame bilinearly and normalise it, as `NormalizedResize` does, in one launch.

    Args:
        frame: (H, W, 3) uint8, contiguous.
        place: (h, w, 3) of any floating type, contiguous: written.
        reverse: Whether the result's channels are the frame's in reverse.
        scale: (3,) float32 on the device that multiplies each channel of the result.
        shift: (3,) float32 that is added then.
    """
    height, width, _ = frame.shape
    rows, columns, _ = place.shape
    _resize[(rows, -(-columns // COLUMNS))](
        frame,
        place,
        scale,
        shift,
        height,
        width,
        columns,
        # As torch has it: the quotient is rounded to single precision first.
        float(np.float32(height / rows)),
        float(np.float32(width / columns)),
        2 if reverse else 0,
        -1 if reverse else 1,
        COLUMNS=COLUMNS,
    )


@jit
def _taps(position, scale, size):
    """Two neighbours in the image of positions in the result, and the share of the second."""
    # Product and difference are rounded once, as in torch's kernels.
    source = (position.to(tl.float64) + 0.5) * scale - 0.5
    source = tl.maximum(source.to(tl.float32), 0.0)
    first = source.to(tl.int32)
    return first, tl.minimum(first + 1, size - 1), source - first.to(tl.float32)


@jit
def _between(first, second, share):
    """Linear interpolation that is exact at both ends, in the order of torch.lerp."""
    return tl.where(
        share < 0.5, first + share * (second - first), second - (second - first) * (1.0 - share)
    )


@kernel("height", "width", "columns", "first_channel", "channel_step")
def _resize(
    frame,  # (height, width, 3) uint8
    place,  # (rows, columns, 3)
    scale,  # (3,) float32
    shift,  # (3,) float32
    height,
    width,
    columns,
    scale_y,
    scale_x,
    first_channel,
    channel_step,
    COLUMNS: tl.constexpr,
):
    row = tl.program_id(0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    valid = column < columns
    top, bottom, down = _taps(row, scale_y, height)
    left, right, across = _taps(column, scale_x, width)
    upper = frame + top.to(tl.int64) * width * 3
    lower = frame + bottom.to(tl.int64) * width * 3
    target = place + (row.to(tl.int64) * columns + column) * 3
    for channel in tl.static_range(3):
        source = first_channel + channel * channel_step
        before = _between(
            tl.load(upper + left * 3 + source, mask=valid, other=0).to(tl.float32),
            tl.load(lower + left * 3 + source, mask=valid, other=0).to(tl.float32),
            down,
        )
        after = _between(
            tl.load(upper + right * 3 + source, mask=valid, other=0).to(tl.float32),
            tl.load(lower + right * 3 + source, mask=valid, other=0).to(tl.float32),
            down,
        )
        value = _between(before, after, across) * tl.load(scale + channel)
        value += tl.load(shift + channel)
        tl.store(target + channel, value.to(place.dtype.element_ty), mask=valid)
