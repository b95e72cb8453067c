# SPDX-License-Identifier: Apache-2.0
"""Reads the pixels of mask files: ids, or one object."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from yolact_ros.errors import InputError

MASK_SUFFIXES = frozenset({".bmp", ".gif", ".png", ".tif", ".tiff", ".webp"})
"""Of files that keep each pixel's value; JPEG does not."""


class IdMap(NamedTuple):
    """The ids of a mask file.

    Attributes:
        ids: (H, W) int64: palette indices or grey values, or colours as 256² R + 256 G + B; 0 where
            nothing is, and where the file is transparent.
        coloured: Whether they are colours.
    """

    ids: npt.NDArray[np.int64]
    coloured: bool

    @property
    def numbers(self) -> list[int]:
        """The ids that occur, ascending, without 0."""
        return [int(number) for number in np.unique(self.ids) if number]


def read_ids(path: Path) -> IdMap:
    """Read a mask file.

    Raises:
        InputError: It is none that can be read.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            if picture.mode in ("P", "L", "1", "F") or picture.mode.startswith("I"):
                return IdMap(np.asarray(picture).astype(np.int64), coloured=False)
            pixels = np.asarray(picture.convert("RGBA")).astype(np.int64)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: expected a mask, got something that cannot be read") from error
    red, green, blue, opacity = np.moveaxis(pixels, 2, 0)
    ids = np.where(opacity > 0, (red << 16) + (green << 8) + blue, 0)
    return IdMap(ids, coloured=True)
