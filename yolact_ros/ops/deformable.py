# SPDX-License-Identifier: Apache-2.0
"""Deformable convolution as sums of gathered rows and one matrix product."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from yolact_ros.ops.kernels import works

from .deformable_kernel import sample_taps_by_kernel

_SIDE = 3
_TAPS = _SIDE * _SIDE


def deform_conv2d_by_gathering(
    x: Tensor, offsets: Tensor, weight: Tensor, bias: Tensor, modulation: Tensor, stride: int
) -> Tensor:
    """Compute `torchvision.ops.deform_conv2d` of 3x3 kernels with padding 1, but faster.

    Each sample is a weighted sum of four pixels, which lie in memory as rows of channels: on a CPU
    `embedding_bag` sums them with vector instructions, on a GPU a Triton kernel does where one can
    be built; torchvision's kernels go value by value. Where half types are sampled, coordinates
    and sums are in float32 all the same. A CUDA graph can hold it with any torchvision. The
    offsets get no gradient.

    Args:
        x: (B, C, H, W), best with channels last in memory.
        offsets: (B, 18, h, w) pixels (dy, dx) of each kernel tap. Where one is not a number, the
            sample is 0.
        weight: (K, C, 3, 3), best with channels last in memory.
        bias: (K,).
        modulation: (B, 9, h, w) factor of each sample.
        stride: The kernel's.

    Returns:
        (B, K, h, w) of the type of x, channels last in memory.
    """
    height, width = offsets.shape[2:]
    kernel = weight.permute(0, 2, 3, 1).flatten(1)  # (K, 9 C), a view with channels last
    sample = sample_taps_by_kernel if _has_kernel(x) else sample_taps
    samples = sample(x, offsets, modulation, stride)
    product = F.linear(samples.view(-1, _TAPS * x.shape[1]), kernel, bias)
    return product.view(len(x), height, width, -1).permute(0, 3, 1, 2)


def sample_taps(x: Tensor, offsets: Tensor, modulation: Tensor, stride: int) -> Tensor:
    """The modulated samples, (B, h, w, 9, C) of the type of x; see `deform_conv2d_by_gathering`."""
    height, width = offsets.shape[2:]
    taps = torch.arange(_TAPS, device=x.device)
    rows = torch.arange(height, device=x.device)[:, None, None] * stride + taps // _SIDE - 1
    columns = torch.arange(width, device=x.device)[:, None] * stride + taps % _SIDE - 1
    images = []
    for image, moves, factors in zip(x, offsets, modulation, strict=True):
        moves = moves.permute(1, 2, 0).unflatten(2, (_TAPS, 2)).float()  # (h, w, 9, 2)
        indices, weights = _corners(
            moves[..., 0] + rows, moves[..., 1] + columns, image.shape[1], image.shape[2]
        )
        weights = weights * factors.permute(1, 2, 0).float()[..., None]
        pixels = image.permute(1, 2, 0).flatten(0, 1).float()  # (H W, C)
        samples = F.embedding_bag(
            indices.view(-1, 4), pixels, mode="sum", per_sample_weights=weights.view(-1, 4)
        )
        images.append(samples.view(height, width, _TAPS, -1).to(x.dtype))
    return torch.stack(images)


def _has_kernel(x: Tensor) -> bool:
    return x.is_cuda and _kernel_works(x.device)


@functools.cache
def _kernel_works(device: torch.device) -> bool:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, 5, 6, generator=generator).to(device)
    offsets = (3 * torch.randn(2, 18, 3, 3, generator=generator)).to(device)
    modulation = torch.rand(2, 9, 3, 3, generator=generator).to(device)
    case = (x, offsets, modulation, 2)
    return works(
        "deformable convolutions on a GPU",
        lambda: sample_taps_by_kernel(*case),
        lambda: sample_taps(*case),
    )


def _corners(y: Tensor, x: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The four pixels around points, and their bilinear weights: 0 outside the image.

    Returns:
        (..., 4) int32 index of the pixel in the flattened image, and (..., 4) float32.
    """
    top, left = y.floor(), x.floor()
    down, right = y - top, x - left
    ys = torch.stack([top, top, top + 1, top + 1], dim=-1)
    xs = torch.stack([left, left + 1, left, left + 1], dim=-1)
    weights = torch.stack(
        [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], dim=-1
    )
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    indices = (ys * width + xs).where(inside, 0.0)
    return indices.int(), weights.where(inside, 0.0)
