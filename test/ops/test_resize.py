# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from yolact_ros.ops.resize import NormalizedResize
from yolact_testing.networks import parametrize_device
from yolact_testing.pictures import noise

MEAN, STD = (123.68, 116.78, 103.94), (58.40, 57.12, 57.38)


def taps(size, output_size):
    """Both neighbours of each position and the second's weight, positions rounded once."""
    scale = np.float64(np.float32(size / output_size))
    position = np.float32((np.arange(output_size) + 0.5) * scale - 0.5).clip(0)
    first = position.astype(int)
    return first, np.minimum(first + 1, size - 1), np.float64(position) - first


def exact(image, size, channels):
    """Bilinear interpolation in double precision."""
    pixels = image.numpy().astype(float)[..., list(channels)]
    # first the axis that is reduced most: the other way round a row of 65535 would be 320 of them
    for axis in sorted((0, 1), key=lambda axis: size[axis] / image.shape[axis]):
        first, second, weight = taps(pixels.shape[axis], size[axis])
        weight = weight.reshape(-1, *(1,) * (2 - axis))
        before, after = pixels.take(first, axis), pixels.take(second, axis)
        pixels = before + (after - before) * weight
    return torch.from_numpy((pixels - MEAN) / STD).float()


def in_torch(image, size, channels):
    pixels = image.permute(2, 0, 1)[None].float()
    resized = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return ((resized[0, list(channels)] - mean) / std).permute(1, 2, 0)


def resize(image, size, channels=(0, 1, 2)):
    operation = NormalizedResize(
        tuple(image.shape[:2]),
        size,
        channels=channels,
        mean=MEAN,
        std=STD,
        device=torch.device("cpu"),
    )
    return operation(image)


def assert_equals_interpolation(image, size, channels):
    found = resize(image, size, channels)
    torch.testing.assert_close(found, exact(image, size, channels), rtol=0, atol=1e-5)
    # torch's kernel rounds a position once or twice, as the processor has it: by 2**-24 of the
    # largest position each time, and each axis moves a value by that share of the contrast.
    rounding = 2 * sum(image.shape[:2]) * 2.0**-24 * 255 / min(STD)
    torch.testing.assert_close(found, in_torch(image, size, channels), rtol=0, atol=1e-5 + rounding)


@settings(deadline=None, max_examples=60)
@given(
    *[st.integers(1, 90)] * 4,
    st.sampled_from([(0, 1, 2), (2, 1, 0)]),
    st.integers(0, 100),
)
def test_it_equals_interpolation_of_the_float_image(height, width, rows, columns, channels, seed):
    image = torch.from_numpy(noise(height, width, seed))
    assert_equals_interpolation(image, (rows, columns), channels)


SHAPES = [(1, 65535), (65535, 1), (3, 20000), (20000, 3), (320, 30000), (30000, 320), (1, 1)]


@pytest.mark.parametrize("size", SHAPES)
def test_what_lies_between_is_no_larger_than_image_and_result(size):
    """A row of a million pixels took 8.5 GB: it was first repeated for each row of the result."""
    output = (320, 320)
    image = torch.from_numpy(noise(*size))
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        found = resize(image, output)
    sizes = [event.cpu_memory_usage for event in profile.function_events]
    assert max(sizes) <= 4 * (image.numel() + found.numel())  # bytes of float32
    torch.testing.assert_close(found, exact(image, output, (0, 1, 2)), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(720, 1280), (2160, 3840), (480, 640), (550, 550), (7, 2000)])
def test_usual_sizes(size):
    image = torch.from_numpy(noise(*size))
    assert_equals_interpolation(image, (550, 550), (0, 1, 2))


@parametrize_device
def test_a_hand_computed_enlargement(device):
    image = torch.tensor([[0, 100]], dtype=torch.uint8, device=device)[..., None].expand(-1, -1, 3)
    operation = NormalizedResize(
        (1, 2), (1, 4), channels=(0, 1, 2), mean=(0,) * 3, std=(1,) * 3, device=torch.device(device)
    )
    assert operation(image)[0, :, 0].tolist() == [0, 25, 75, 100]


def test_strided_images_are_taken():
    image = torch.from_numpy(noise(40, 80))
    part = image[3:33, 10:60]
    assert torch.equal(resize(part, (20, 20)), resize(part.contiguous(), (20, 20)))
