# SPDX-License-Identifier: Apache-2.0
"""Samples of more than 8 bits, and floats, to 8 bits: alike for files and for messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_WIDTHS = (8, 10, 12, 14, 16, 20, 24, 32)
_ROWS_AT_ONCE = 64  # bounds the memory of converting floats


def to_uint8(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the highest 8 of the bits that a picture uses.

    Args:
        samples: (H, W, ...) of any integer or floating type. Integers below 0 are black; for
            floats see `float_to_uint8`.
    """
    if samples.dtype == np.uint8:
        return samples
    if np.issubdtype(samples.dtype, np.floating):
        return float_to_uint8(samples)
    bits = fewest_bits(int(samples.max(initial=0)))
    return (np.maximum(samples, 0) >> (bits - 8)).astype(np.uint8)


def fewest_bits(largest: int) -> int:
    """Return how many bits samples have, counted from the lowest: 8, 10, 12, 14, 16 or more.

    Args:
        largest: The largest of the samples, 0 or more.
    """
    return next(width for width in _WIDTHS if largest < 1 << width)


def float_to_uint8(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Read floats as 0 (black) to 1 (white), or to 255 if more than half of them are above 1.

    What lies outside is saturated, and what is not a number is black.

    Args:
        values: (H, W, ...) of a floating type, in either byte order.
    """
    white = 255.0 if 2 * np.count_nonzero(values > 1) > values.size else 1.0
    result = np.empty(values.shape, np.uint8)
    for begin in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        with np.errstate(all="ignore"):
            scaled = np.nan_to_num(values[rows], nan=0.0) * (255.0 / white)
        np.rint(scaled.clip(0, 255), out=result[rows], casting="unsafe")
    return result
