# SPDX-License-Identifier: Apache-2.0
"""The orientation of a picture: where EXIF data or a TIFF file says it, and what it does."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_TAG = 0x0112
_NUMBERS = {1: "B", 3: "H", 4: "I"}  # formats of a value of 1, 2 and 4 bytes
_MOST_FIELDS = 1 << 16
_PREFIX = b"Exif\0\0"
_BIG_TIFF = 43


class _Field(NamedTuple):
    """The field of the orientation: its value, and where and how that is written."""

    value: int
    at: int
    layout: str


def orientation_of(exif: bytes) -> int:
    """Read the orientation in EXIF data, or in a TIFF file, which is laid out alike.

    Returns:
        1 (the pixels are stored upright) to 8; 1 too where there is none, or none that exists.
    """
    field = _find(exif.removeprefix(_PREFIX))
    return valid_orientation(field.value) if field else 1


def valid_orientation(value: object) -> int:
    """Return an orientation that exists; 1 for any other value."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def without_orientation(tiff: bytes) -> bytes:
    """Return a TIFF file without its orientation, which decoders apply whether asked to or not."""
    field = _find(tiff)
    if field is None:
        return tiff
    upright = struct.pack(field.layout, 1)
    return tiff[: field.at] + upright + tiff[field.at + len(upright) :]


def turn(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn and mirror stored pixels (H, W, C) to be upright; the result is a view of them."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _find(tiff: bytes) -> _Field | None:
    """Find the field in the first directory; None where there is none, or the data is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        (version,) = struct.unpack_from(order + "H", tiff, 2)
        if version == _BIG_TIFF:
            (directory,) = struct.unpack_from(order + "Q", tiff, 8)
            (count,) = struct.unpack_from(order + "Q", tiff, directory)
            first, size, value_at = directory + 8, 20, 12
        else:
            (directory,) = struct.unpack_from(order + "I", tiff, 4)
            (count,) = struct.unpack_from(order + "H", tiff, directory)
            first, size, value_at = directory + 2, 12, 8
        for number in range(min(count, _MOST_FIELDS)):
            at = first + size * number
            tag, kind = struct.unpack_from(order + "HH", tiff, at)
            if tag == _TAG and kind in _NUMBERS:
                layout = order + _NUMBERS[kind]
                (value,) = struct.unpack_from(layout, tiff, at + value_at)
                return _Field(value, at + value_at, layout)
    except (struct.error, OverflowError):
        return None
    return None
