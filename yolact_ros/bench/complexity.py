# SPDX-License-Identifier: Apache-2.0
"""Size and arithmetic of a preset's network, counted without running it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torchvision.ops  # noqa: F401  # registers deform_conv2d, which is counted below
from torch.utils.flop_counter import FlopCounterMode

from yolact_ros.network import build_network
from yolact_ros.presets import Preset


class Complexity(NamedTuple):
    """Parameters, and floating-point operations for one image of the square input size.

    A multiplication and an addition count as two. The semantic branch, which only trains the
    network, and the mask-IoU net, whose work follows the number of instances, are left out.
    """

    parameters: int
    flops: int


def count_complexity(preset: Preset) -> Complexity:
    """Count them on torch's meta device, which computes shapes alone."""
    with torch.device("meta"):
        network = build_network(preset).eval()
        image = torch.empty(1, 3, preset.input_size, preset.input_size)
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.torchvision.deform_conv2d: _deformable_flops}
    )
    with counter, torch.inference_mode():
        network(image)
    training_only = sum(p.numel() for p in network.semantic_seg_conv.parameters())
    total = sum(p.numel() for p in network.parameters())
    return Complexity(total - training_only, counter.get_total_flops())


def _deformable_flops(
    x_shape: tuple[int, ...], weight_shape: tuple[int, ...], *_: Any, out_shape: Any, **__: Any
) -> int:
    """Those of an ordinary convolution, and four products and sums for each sampled value."""
    batch, channels, height, width = out_shape
    taps = math.prod(weight_shape[1:])
    return int(batch * height * width * (2 * channels * taps + 8 * taps))
