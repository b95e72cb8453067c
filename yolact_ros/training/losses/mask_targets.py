# SPDX-License-Identifier: Apache-2.0
"""Resizes true masks to the resolutions that the network predicts at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_masks(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Resize masks bilinearly, without antialiasing and with align_corners=False.

    Args:
        masks: (N, H, W) float, bool, or uint8 of 0 and 1. Of the last two, only the pixels that
            count are converted to float32.
        size: Height h and width w.

    Returns:
        (N, h, w) float.
    """
    if tuple(masks.shape[1:]) == tuple(size) or len(masks) == 0:
        return _as_floats(masks).reshape(len(masks), *size)
    if masks.is_floating_point():
        return F.interpolate(masks[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
    (top, bottom, y), (left, right, x) = (
        _neighbours(old, new, masks.device) for old, new in zip(masks.shape[1:], size, strict=True)
    )
    corners = masks.index_select(1, torch.cat([top, bottom]))
    corners = corners.index_select(2, torch.cat([left, right])).float()  # (N, 2h, 2w)
    rows = torch.lerp(corners[:, : size[0]], corners[:, size[0] :], y[:, None])
    return torch.lerp(rows[:, :, : size[1]], rows[:, :, size[1] :], x)


def covered_fraction(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Return the fraction of each new pixel that the mask covers: (N, H, W) to (N, h, w) float."""
    if tuple(masks.shape[1:]) == tuple(size) or len(masks) == 0:
        return _as_floats(masks).reshape(len(masks), *size)
    tall, wide = masks.shape[1] // size[0], masks.shape[2] // size[1]
    whole = tall * size[0] == masks.shape[1] and wide * size[1] == masks.shape[2]
    if masks.dtype != torch.bool or not whole:
        return F.interpolate(_as_floats(masks)[None], size=tuple(size), mode="area")[0]
    # Counted in the smallest type: five times as fast as the mean of floats.
    count = torch.uint8 if tall * wide < 256 else torch.int32
    rows = masks.view(torch.uint8).reshape(len(masks), size[0], tall, masks.shape[2])
    columns = rows.sum(dim=2, dtype=count).reshape(len(masks), *size, wide)
    return columns.sum(dim=3, dtype=count).float() / (tall * wide)


def _as_floats(masks: Tensor) -> Tensor:
    return masks if masks.is_floating_point() else masks.float()


def _neighbours(old: int, new: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each of `new` pixels its two neighbours of `old`, and the second's weight."""
    pixels = torch.arange(new, device=device, dtype=torch.float32)
    source = ((pixels + 0.5) * (old / new) - 0.5).clamp(min=0)
    first = source.long().clamp(max=old - 1)
    return first, (first + 1).clamp(max=old - 1), source - first
