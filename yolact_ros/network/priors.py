# SPDX-License-Identifier: Apache-2.0
"""Prior boxes (anchors)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from yolact_ros.presets import Preset


def level_sizes(input_size: int) -> tuple[int, ...]:
    """Side of P3 to P7 in cells: every stride of two rounds up."""
    size, sizes = input_size, []
    for level in range(1, 8):
        size = math.ceil(size / 2)
        if level >= 3:
            sizes.append(size)
    return tuple(sizes)


def make_priors(preset: Preset) -> Tensor:
    """All priors of a preset.

    Order: levels P3 to P7; within one rows, columns, sizes, aspect ratios.

    Returns:
        (P, 4) float32 cx, cy, w, h as fractions of the input side.
    """
    levels = []
    for cells, sizes in zip(level_sizes(preset.input_size), preset.prior_sizes, strict=True):
        shapes = [
            _prior_shape(size / preset.input_size, ratio, square=preset.square_priors)
            for size, ratio in itertools.product(sizes, preset.aspect_ratios)
        ]
        centers = (np.arange(cells) + 0.5) / cells
        grid = np.empty((cells, cells, len(shapes), 4))
        grid[..., 0] = centers[None, :, None]
        grid[..., 1] = centers[:, None, None]
        grid[..., 2:] = shapes
        levels.append(grid.reshape(-1, 4))
    # Computed in double and rounded once, as published.
    return torch.from_numpy(np.concatenate(levels).astype(np.float32))


def _prior_shape(side: float, ratio: float, *, square: bool) -> tuple[float, float]:
    width = side * math.sqrt(ratio)
    return width, (width if square else side / math.sqrt(ratio))
