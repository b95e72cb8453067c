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
    `(x - mean) / std`; but only the rows that the result is made of are read and converted.

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
        self._scale, self._shift = normalization_factors(mean, std, device)

    def __call__(self, image: Tensor) -> Tensor:
        """(H, W, C) uint8 to (h, w, C) float32."""
        top, bottom, down = self._rows
        left, right, across = self._columns
        lines = image.reshape(image.shape[0], -1)
        upper = lines.index_select(0, top).float()
        rows = upper.lerp_(lines.index_select(0, bottom).float(), down.expand_as(upper))
        before = rows.index_select(1, left)
        resized = before.lerp_(rows.index_select(1, right), across.expand_as(before))
        return torch.addcmul(self._shift, resized.view(len(top), -1, len(self._scale)), self._scale)


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
