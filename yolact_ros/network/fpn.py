# SPDX-License-Identifier: Apache-2.0
"""The feature pyramid (Lin et al., CVPR 2017), in YOLACT's version."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from .convolution import convolution_relu


class FeaturePyramid(nn.Module):
    """Makes pyramid levels P3, P4 and so on of C3, C4 and C5.

    Unlike torchvision's, it enlarges bilinearly, ends P3 to P5 with a ReLU and makes P6 and P7 by
    strided convolutions of P5 (YOLACT paper, section 5). The published tensor names count from the
    coarsest level: `lat_layers.0` and `pred_layers.0` belong to C5.

    Args:
        in_channels: Channels of C3, C4, C5.
        channels: Channels of every output level.
        levels: Number of output levels, at least as many as inputs; 5 as published (P3 to P7).
    """

    def __init__(self, in_channels: Sequence[int], channels: int, levels: int) -> None:
        super().__init__()
        self.lat_layers = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in reversed(in_channels))
        self.pred_layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels
        )
        self.downsample_layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1)
            for _ in range(levels - len(in_channels))
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """C3, C4, C5 to P3, P4, P5 and coarser ones, each (B, channels, h, w)."""
        merged: list[Tensor] = []
        for lateral, feature in zip(self.lat_layers, reversed(features), strict=True):
            x = lateral(feature)
            if merged:
                size = feature.shape[-2:]
                x = x + F.interpolate(merged[-1], size=size, mode="bilinear", align_corners=False)
            merged.append(x)
        levels = [
            convolution_relu(conv, x) for conv, x in zip(self.pred_layers, merged, strict=True)
        ]
        levels.reverse()
        for downsample in self.downsample_layers:
            levels.append(downsample(levels[-1]))
        return levels
