# SPDX-License-Identifier: Apache-2.0
"""Residual backbones, under the published tensor names."""

from __future__ import annotations

from torch import Tensor, nn

from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.presets import ResNetSpec

from .deformable import DeformableConv2d
from .residual import BasicBlock, Bottleneck

_BLOCKS: dict[str, type[BasicBlock | Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNetBackbone(nn.Module):
    """A ResNet without its classifier (He et al., CVPR 2016; stride in the 3x3 convolution).

    torchvision's own `ResNet` names its stages `layer1` to `layer4`, published YOLACT checkpoints
    `layers.0` to `layers.3`; within a stage both agree.

    Args:
        spec: Block kind, depth and width.

    Attributes:
        channels: Channels of C3, C4 and C5.
    """

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        expect_one_of("backbone block", spec.block, tuple(_BLOCKS))
        if spec.deformable_interval and spec.block != "bottleneck":
            raise InputError(
                f"backbone block: expected bottleneck with deformable_interval, got {spec.block!r}"
            )
        block = _BLOCKS[spec.block]
        self.conv1 = nn.Conv2d(3, spec.width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(spec.width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layers = nn.ModuleList()
        channels = spec.width
        outputs = []
        for stage, depth in enumerate(spec.blocks):
            width = spec.width * 2**stage
            stride = 1 if stage == 0 else 2
            self.layers.append(_make_stage(block, channels, width, depth, stride))
            if stage > 0 and spec.deformable_interval:
                _deform(self.layers[-1], spec.deformable_interval)
            channels = width * block.expansion
            outputs.append(channels)
        self.channels = tuple(outputs[1:])

    @property
    def stages(self) -> list[list[nn.Module]]:
        """The layers of each stage, the first with those before it."""
        first, *others = self.layers
        return [[self.conv1, self.bn1, first], *([stage] for stage in others)]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to C3, C4, C5 at strides 8, 16, 32."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        outputs = []
        for stage in self.layers:
            x = stage(x)
            outputs.append(x)
        return outputs[1:]


def _make_stage(
    block: type[BasicBlock | Bottleneck], channels: int, width: int, depth: int, stride: int
) -> nn.Sequential:
    expanded = width * block.expansion
    downsample = None
    if stride != 1 or channels != expanded:
        downsample = nn.Sequential(
            nn.Conv2d(channels, expanded, 1, stride=stride, bias=False), nn.BatchNorm2d(expanded)
        )
    first = block(channels, width, stride=stride, downsample=downsample)
    return nn.Sequential(first, *(block(expanded, width) for _ in range(depth - 1)))


def _deform(stage: nn.Module, interval: int) -> None:
    """Replace the 3x3 convolution in every `interval`-th bottleneck, starting with the first."""
    for index, block in enumerate(stage.children()):
        if index % interval == 0:
            plain: nn.Conv2d = block.conv2  # type: ignore[assignment]
            block.conv2 = DeformableConv2d(
                plain.in_channels, plain.out_channels, stride=plain.stride[0]
            )
