# SPDX-License-Identifier: Apache-2.0
"""Bilinear resizing of uint8 images to normalised float ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class NormalizedResize:
    """Resizes and normalises images of one size, at a cost that depends on the result's size.

    Equal, up to the last bits, to converting the whole image to float, bilinear
    `torch.nn.functional.interpolate` (align_corners=False, no anti-aliasing), then
    `(x - mean) / std`; but only the rows that the result is made of are read and converted. Of an
    image that is far wider than the result, columns are chosen first: what lies between the two
    steps is never larger than image and result together, whatever their shapes.

    Args:
        size: (height, width) of the images.
        output_size: (height, width) of the result.
        channels: The image's channel for each channel of the result, such as (2, 1, 0).
        mean: Subtracted from each channel of the result, in units of the image.
        std: Divides each channel of the result.
        device: Where the images are.
    """

    def __init__(
        self,
        size: tuple[int, int],
        output_size: tuple[int, int],
        *,
        channels: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
    ) -> None:
        top, bottom, down = _taps(size[0], output_size[0])
        left, right, across = _taps(size[1], output_size[1])
        order = torch.tensor(list(channels))
        count = len(order)
        self._rows = (top.to(device), bottom.to(device), down[:, None].to(device))
        # Columns of an image whose pixels and channels lie in one row of width * channels values.
        self._columns = (
            (left[:, None] * count + order).reshape(-1).to(device),
            (right[:, None] * count + order).reshape(-1).to(device),
            across.repeat_interleave(count).to(device),
        )
        # If not, rows <= 2 * sqrt(image * result) <= image + result; else columns are a quarter.
        rows, columns = output_size[0] * size[1], size[0] * output_size[1]
        self._columns_first = rows > 4 * columns
        self._scale, self._shift = normalization_factors(mean, std, device)

    def __call__(self, image: Tensor) -> Tensor:
        """(H, W, C) uint8 to (h, w, C) float32."""
        lines = image.reshape(image.shape[0], -1)
        if self._columns_first:
            resized = _blend(_blend(lines, 1, self._columns), 0, self._rows)
        else:
            resized = _blend(_blend(lines, 0, self._rows), 1, self._columns)
        height, count = len(self._rows[0]), len(self._scale)
        return torch.addcmul(self._shift, resized.view(height, -1, count), self._scale)


def _blend(lines: Tensor, axis: int, taps: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Interpolate along one axis: float32 of as many rows or columns as there are taps."""
    first, second, weights = taps
    blended = lines.index_select(axis, first).float()
    return blended.lerp_(lines.index_select(axis, second).float(), weights.expand_as(blended))


def normalization_factors(
    mean: Sequence[float], std: Sequence[float], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Scale and shift, (C,) float32 each, by which `(x - mean) / std` is `x * scale + shift`."""
    deviation = torch.tensor(list(std), dtype=torch.float64)
    shift = -torch.tensor(list(mean), dtype=torch.float64) / deviation
    return deviation.reciprocal().float().to(device), shift.float().to(device)


def _taps(size: int, output_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each position of the result its two neighbours in the image and the second's weight."""
    # torch's kernels compute the position in float32 and round product and difference at once; far
    # from the origin another order of rounding would be seen at sharp edges.
    scale = torch.tensor(size / output_size, dtype=torch.float32).double()
    position = (torch.arange(output_size, dtype=torch.float64) + 0.5) * scale - 0.5
    position = position.float().clamp(min=0)
    first = position.long()
    second = (first + 1).clamp(max=size - 1)
    return first, second, position - first
