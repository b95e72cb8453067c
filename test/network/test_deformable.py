# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch
from torch.nn import functional as F

from yolact_ros.network import build_network
from yolact_ros.network.deformable import DeformableConv2d
from yolact_ros.presets import ResNetSpec, get_preset


def layer(stride=1):
    torch.manual_seed(0)
    return DeformableConv2d(4, 6, stride=stride)


def test_without_offsets_it_is_a_convolution_at_half_strength():
    for stride in (1, 2):
        convolution = layer(stride)
        x = torch.randn(2, 4, 9, 7)
        expected = F.conv2d(x, convolution.weight, stride=stride, padding=1) / 2
        torch.testing.assert_close(convolution(x), expected, atol=1e-5, rtol=1e-4)


def test_offsets_are_dy_dx_pairs_for_each_tap():
    convolution = layer()
    with torch.no_grad():
        # Every tap looks one row lower and two columns to the right, at full strength.
        convolution.conv_offset_mask.bias[0:18:2] = 1
        convolution.conv_offset_mask.bias[1:18:2] = 2
        convolution.conv_offset_mask.bias[18:] = 100
    x = torch.randn(1, 4, 10, 12)
    shifted = F.pad(x, (0, 2, 0, 1))[:, :, 1:, 2:]
    expected = F.conv2d(shifted, convolution.weight, padding=1)
    inner = (slice(None), slice(None), slice(1, -3), slice(1, -4))
    torch.testing.assert_close(convolution(x)[inner], expected[inner], atol=1e-5, rtol=1e-4)


def test_inference_on_a_cpu_equals_training():
    for stride in (1, 2):
        convolution = layer(stride)
        torch.nn.init.normal_(convolution.conv_offset_mask.weight, std=0.3)
        x = torch.randn(2, 4, 9, 7)
        trained = convolution(x)
        assert trained.requires_grad
        with torch.inference_mode():
            torch.testing.assert_close(convolution(x), trained.detach(), atol=1e-5, rtol=1e-5)


def test_bfloat16_is_cast_around_the_operator():
    convolution = layer()
    x = torch.randn(1, 4, 8, 8)
    expected = convolution(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = convolution(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, atol=0.05, rtol=0.05)
    assert convolution.bfloat16()(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.slow
def test_yolact_plus_trains_in_fp32_and_under_autocast_and_exports():
    preset = dataclasses.replace(
        get_preset("yolact_plus_resnet50"),
        backbone=ResNetSpec("bottleneck", (1, 1, 1, 1), 16, deformable_interval=1),
        input_size=138,
    )
    torch.manual_seed(0)
    network = build_network(preset)
    x = torch.randn(1, 3, 138, 138)
    trained = [name for name, _ in network.named_parameters() if "maskiou" not in name]
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            predictions = network(x)
            sum(output.float().mean() for output in predictions[:5]).backward()
        gradients = {name: p.grad for name, p in network.named_parameters()}
        assert all(torch.isfinite(gradients[name]).all() for name in trained)
        network.zero_grad(set_to_none=True)
    network.eval()
    with torch.no_grad():
        exported = torch.export.export(network, (x,)).module()
    # Other engines know the operator, not what stands in for it on a CPU.
    targets = [str(node.target) for node in exported.graph.nodes]
    assert any("deform_conv2d" in target for target in targets)
    assert not any("embedding_bag" in target for target in targets)
    other = torch.randn(1, 3, 138, 138)
    with torch.inference_mode():
        for ours, theirs in zip(network(other), exported(other), strict=True):
            torch.testing.assert_close(ours, theirs)
