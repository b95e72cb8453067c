# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import deform_conv2d

from yolact_ros.ops.deformable import deform_conv2d_by_gathering


def random_case(seed, batch, channels, size, stride, spread):
    generator = torch.Generator().manual_seed(seed)
    height, width = (-(-side // stride) for side in size)
    x = torch.randn(batch, channels, *size, generator=generator)
    offsets = spread * torch.randn(batch, 18, height, width, generator=generator)
    modulation = torch.rand(batch, 9, height, width, generator=generator)
    weight = torch.randn(5, channels, 3, 3, generator=generator)
    return x, offsets, weight, torch.randn(5, generator=generator), modulation


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    channels=st.integers(1, 9),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    stride=st.integers(1, 2),
    spread=st.sampled_from([0.0, 0.7, 5.0, 1e6]),
    channels_last=st.booleans(),
)
def test_equals_torchvision(seed, batch, channels, size, stride, spread, channels_last):
    x, offsets, weight, bias, modulation = random_case(seed, batch, channels, size, stride, spread)
    expected = deform_conv2d(x, offsets, weight, bias, stride=stride, padding=1, mask=modulation)
    if channels_last:
        x, weight = (part.to(memory_format=torch.channels_last) for part in (x, weight))
    found = deform_conv2d_by_gathering(x, offsets, weight, bias, modulation, stride)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=2e-5)


def test_half_types_are_rounded_in_the_product_alone():
    x, offsets, weight, bias, modulation = random_case(0, 2, 16, (9, 7), 1, 2.0)
    half = [part.bfloat16() for part in (x, offsets, weight, bias, modulation)]
    found = deform_conv2d_by_gathering(*half, 1)
    exact = deform_conv2d_by_gathering(*(part.float() for part in half), 1)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, atol=0.1, rtol=0.02)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_sample_that_lies_nowhere_is_zero(value):
    x, offsets, weight, bias, modulation = random_case(1, 1, 3, (4, 4), 1, 0.5)
    offsets[0, 6, 2, 1] = value  # dy of tap 3, at one place
    modulation_without = modulation.clone()
    modulation_without[0, 3, 2, 1] = 0
    found = deform_conv2d_by_gathering(x, offsets, weight, bias, modulation, 1)
    offsets[0, 6, 2, 1] = 0
    expected = deform_conv2d_by_gathering(x, offsets, weight, bias, modulation_without, 1)
    torch.testing.assert_close(found, expected)
