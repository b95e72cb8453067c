# SPDX-License-Identifier: Apache-2.0
"""A picture small enough to be kept, in which a cut shows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ROWS, _COLUMNS = 24, 32
_SAMPLES = 5  # along each side of a cell


def thumbnail(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Shrink an image to (24, 32) float32 brightness, 0 to 255.

    Args:
        image: (H, W, 3) uint8, in any order of colours; at least 1 x 1.
    """
    height, width = image.shape[:2]
    rows = np.arange(_ROWS * _SAMPLES) * height // (_ROWS * _SAMPLES)
    columns = np.arange(_COLUMNS * _SAMPLES) * width // (_COLUMNS * _SAMPLES)
    green = image[rows[:, None], columns, 1].astype(np.float32)
    return green.reshape(_ROWS, _SAMPLES, _COLUMNS, _SAMPLES).mean(axis=(1, 3))


def likeness(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Pearson's correlation of two thumbnails, -1 to 1, which a change of light leaves alone.

    Two of which one is of a single brightness are alike, 1: nothing can be said of them.
    """
    first, second = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 1.0
