# SPDX-License-Identifier: Apache-2.0
"""Convolutions whose bias, residual and ReLU are no kernels of their own, for inference."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yolact_ros.ops.kernels import works


class ConvolutionRelu(nn.Module):
    """A convolution and the ReLU behind it.

    Args:
        convolution: With weights that no longer change.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution, not below 0."""
        return convolution_relu(self.convolution, x)


class ResidualBlock(nn.Module):
    """A residual block whose batch norms are folded.

    Args:
        convolutions: One behind the other, with a ReLU behind each.
        downsample: What the input goes through to be added before the last ReLU; None for nothing.
    """

    def __init__(self, convolutions: Sequence[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H / stride, W / stride)."""
        residual = x if self.downsample is None else self.downsample(x)
        *first, last = self.convolutions
        for convolution in first:
            x = convolution_relu(convolution, x)
        return convolution_relu(last, x, residual)


def convolution_relu(convolution: nn.Module, x: Tensor, residual: Tensor | None = None) -> Tensor:
    """ReLU of a convolution, and of what is added to it: on a GPU in half precision one kernel.

    torch by itself adds the bias and the residual and takes the ReLU in kernels of their own, which
    read and write all of the result.
    """
    if isinstance(convolution, nn.Conv2d) and _is_fused(convolution, x):
        return _fused(convolution, x, residual)
    y = convolution(x)
    return F.relu(y if residual is None else y + residual)


def _is_fused(convolution: nn.Conv2d, x: Tensor) -> bool:
    return (
        x.is_cuda
        and x.dtype == torch.float16
        # Of which cuDNN has kernels for matrix units.
        and convolution.in_channels % 8 == convolution.out_channels % 8 == 0
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and _fusing_works(x.device)
    )


def _fused(convolution: nn.Conv2d, x: Tensor, residual: Tensor | None) -> Tensor:
    how: Any = (convolution.stride, convolution.padding, convolution.dilation, convolution.groups)
    weight, bias = convolution.weight, convolution.bias
    if residual is None:
        return torch.cudnn_convolution_relu(x, weight, bias, *how)
    return torch.cudnn_convolution_add_relu(x, weight, residual, 1.0, bias, *how)


@functools.cache
def _fusing_works(device: torch.device) -> bool:
    generator = torch.Generator().manual_seed(0)
    layout: Any = {"dtype": torch.float16, "memory_format": torch.channels_last}
    convolution = nn.Conv2d(16, 16, 3, padding=1).requires_grad_(False).to(device, **layout)
    x, residual = (
        torch.randn(1, 16, 6, 7, generator=generator).to(device, **layout) for _ in range(2)
    )

    def fused() -> Tensor:
        return _fused(convolution, _fused(convolution, x, None), residual)

    def plain() -> Tensor:
        return F.relu(convolution(F.relu(convolution(x))) + residual)

    return works("convolutions with their ReLU on a GPU", fused, plain)
