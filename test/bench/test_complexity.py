# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from yolact_ros.bench.complexity import _deformable_flops, count_complexity
from yolact_ros.network.deformable import DeformableConv2d
from yolact_ros.presets import get_preset


def test_parameters_are_the_published_ones_without_the_semantic_branch():
    # 31,164,943 in the published state, of which 80 * (256 + 1) train only.
    assert count_complexity(get_preset("yolact_resnet50")).parameters == 31164943 - 80 * 257


def test_flops_grow_with_the_input():
    small = get_preset("yolact_demo")
    large = dataclasses.replace(small, input_size=2 * small.input_size)
    ratio = count_complexity(large).flops / count_complexity(small).flops
    assert ratio == pytest.approx(4, rel=0.05)


def test_deformable_convolution_is_counted():
    layer = DeformableConv2d(4, 6, stride=2)
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.torchvision.deform_conv2d: _deformable_flops}
    )
    with counter:
        layer(torch.zeros(1, 4, 8, 8))
    positions, taps = 4 * 4, 4 * 9
    offsets = 2 * positions * 27 * taps
    assert counter.get_total_flops() == offsets + positions * (2 * 6 * taps + 8 * taps)
