# SPDX-License-Identifier: Apache-2.0
"""Deformable convolution v2 (Zhu et al., CVPR 2019) through torchvision's operator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolact_ros.ops.deformable import deform_conv2d_by_gathering


class DeformableConv2d(nn.Module):
    """A 3x3 deformable convolution that predicts its own offsets and modulation.

    The tensors are named as in the published YOLACT++ checkpoints: `weight`, `bias` and
    `conv_offset_mask`, whose 27 channels are the 18 offsets, (dy, dx) for each kernel tap, and the
    9 modulations before their sigmoid.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        # Here, as it takes seconds, and networks without it need none of torchvision.
        from torchvision.ops import deform_conv2d

        self._operator = deform_conv2d
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conv_offset_mask = nn.Conv2d(in_channels, 27, 3, stride=stride, padding=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Make it an ordinary convolution at half strength: no offsets, modulation 1/2."""
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        predicted = self.conv_offset_mask(x)
        offsets, modulation = predicted[:, :18], torch.sigmoid(predicted[:, 18:])
        # Meta tensors, which only count, take the operator that says what it does.
        real = x.device.type in ("cpu", "cuda")
        if real and not torch.is_grad_enabled() and not _is_exporting():
            return deform_conv2d_by_gathering(
                x, offsets, self.weight, self.bias, modulation, self.stride
            )
        # torchvision's kernel knows no bfloat16, and none of the half types on a CPU.
        dtype = x.dtype if _has_kernel(x) else torch.float32
        y: Tensor = self._operator(
            x.to(dtype),
            offsets.to(dtype),
            self.weight.to(dtype),
            self.bias.to(dtype),
            stride=self.stride,
            padding=1,
            mask=modulation.to(dtype),
        )
        return y.to(predicted.dtype)


def _has_kernel(x: Tensor) -> bool:
    if x.dtype in (torch.float32, torch.float64):
        return True
    return x.dtype == torch.float16 and x.device.type == "cuda"


def _is_exporting() -> bool:
    """Whether the network is being exported for other engines, which know the operator."""
    if hasattr(torch.compiler, "is_exporting"):
        return bool(torch.compiler.is_exporting())
    return bool(torch.compiler.is_compiling())
