# SPDX-License-Identifier: Apache-2.0
"""Prior boxes (anchors)."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from yolact_ros.presets import Preset

_SIZES_KEPT = 16

Size = tuple[int, int]
"""Height and width."""


def level_sizes(input_size: Size, levels: int) -> list[Size]:
    """(height, width) in cells of each pyramid level from P3 on: every stride of two rounds up."""
    strides = [2 ** (3 + level) for level in range(levels)]
    return [
        (math.ceil(input_size[0] / stride), math.ceil(input_size[1] / stride)) for stride in strides
    ]


def make_priors(preset: Preset, input_size: Size, cells: Sequence[Size]) -> Tensor:
    """Make all priors of a preset.

    They are ordered by level, then row, column, size and aspect ratio.

    Args:
        preset: Sizes and shapes of the priors.
        input_size: The network's input in pixels.
        cells: Height and width of each level, in cells.

    Returns:
        (P, 4) float32 cx, cy, w, h as fractions of the input.
    """
    levels = []
    for (rows, columns), sizes in zip(cells, preset.prior_sizes, strict=True):
        shapes = [
            _prior_shape(size, ratio, input_size, square=preset.square_priors)
            for size, ratio in itertools.product(sizes, preset.aspect_ratios)
        ]
        grid = np.empty((rows, columns, len(shapes), 4))
        grid[..., 0] = ((np.arange(columns) + 0.5) / columns)[None, :, None]
        grid[..., 1] = ((np.arange(rows) + 0.5) / rows)[:, None, None]
        grid[..., 2:] = shapes
        levels.append(grid.reshape(-1, 4))
    # Computed in double and rounded once, as published.
    return torch.from_numpy(np.concatenate(levels).astype(np.float32))


def _prior_shape(
    size: float, ratio: float, input_size: Size, *, square: bool
) -> tuple[float, float]:
    width = size * math.sqrt(ratio)
    height = width if square else size / math.sqrt(ratio)
    return width / input_size[1], height / input_size[0]


class PriorCache:
    """The priors of the input sizes that were seen last.

    Always in float32, whatever the network computes in: boxes are decoded from them. Hence not a
    buffer, which would be converted with the network.

    Args:
        preset: Sizes and shapes of the priors; its square input is made at once.
    """

    def __init__(self, preset: Preset) -> None:
        self._preset = preset
        self._priors: OrderedDict[tuple[Size, tuple[Size, ...], torch.device], Tensor]
        self._priors = OrderedDict()
        side = (preset.input_size, preset.input_size)
        self.get(side, level_sizes(side, len(preset.prior_sizes)), torch.device("cpu"))

    def get(self, input_size: Size, cells: Sequence[Size], device: torch.device) -> Tensor:
        """The priors of an input size and the cells that the network made of it."""
        key = (input_size, tuple(cells), device)
        if key in self._priors:
            self._priors.move_to_end(key)
        else:
            if torch.compiler.is_compiling():
                # A traced tensor must not outlive its trace.
                return make_priors(self._preset, input_size, cells).to(device)
            # Nor may a tensor of inference mode be what training meets later.
            with torch.inference_mode(mode=False):
                self._priors[key] = make_priors(self._preset, input_size, cells).to(device)
            if len(self._priors) > _SIZES_KEPT:
                self._priors.popitem(last=False)
        return self._priors[key]
