# SPDX-License-Identifier: Apache-2.0
"""DarkNet-53 (Redmon and Farhadi, YOLOv3, 2018), under the published tensor names."""

from __future__ import annotations

from torch import Tensor, nn

from yolact_ros.presets import DarkNetSpec


class DarkNetBackbone(nn.Module):
    """A DarkNet without its classifier.

    Args:
        spec: Its depth.

    Attributes:
        channels: Channels of C3, C4 and C5.
    """

    def __init__(self, spec: DarkNetSpec) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self._preconv = _convolution(3, 32, kernel_size=3)
        channels = 32
        outputs = []
        for depth in spec.blocks:
            stage: list[nn.Module] = [_convolution(channels, channels * 2, 3, stride=2)]
            channels *= 2
            stage += [_Block(channels) for _ in range(depth)]
            self.layers.append(nn.Sequential(*stage))
            outputs.append(channels)
        self.channels = tuple(outputs[-3:])

    @property
    def stages(self) -> list[list[nn.Module]]:
        """The layers of each stage, the first with those before it."""
        first, *others = self.layers
        return [[self._preconv, first], *([stage] for stage in others)]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to C3, C4, C5 at strides 8, 16, 32."""
        x = self._preconv(x)
        outputs = []
        for stage in self.layers:
            x = stage(x)
            outputs.append(x)
        return outputs[-3:]


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, channels // 2, kernel_size=1)
        self.conv2 = _convolution(channels // 2, channels, kernel_size=3)

    def forward(self, x: Tensor) -> Tensor:
        # The residual joins after the activation, unlike in a ResNet.
        y: Tensor = self.conv2(self.conv1(x))
        return y + x


def _convolution(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
) -> nn.Sequential:
    padding = (kernel_size - 1) // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.1, inplace=True),
    )
