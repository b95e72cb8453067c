# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from yolact_ros.inference.gpu import buffers
from yolact_ros.inference.gpu.buffers import Staging
from yolact_testing.networks import parametrize_device


def random_images(seed):
    """One image, and one that is not contiguous."""
    generator = np.random.default_rng(seed)
    one = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return one, generator.integers(0, 256, (8, 6, 3), dtype=np.uint8)[::2, ::-1]


@parametrize_device
def test_arrays_arrive_in_their_shapes(device):
    staging = Staging(torch.device(device))
    for seed in range(50):
        images = random_images(seed)[: 1 + seed % 2]
        for tensor, image in zip(staging.upload(images), images, strict=True):
            assert tensor.device.type == device
            np.testing.assert_array_equal(tensor.cpu(), image)


@parametrize_device
def test_what_is_uploaded_does_not_change_with_the_array(device):
    array = np.ones(10, np.uint8)
    [tensor] = Staging(torch.device(device)).upload([array])
    array[:] = 7
    assert tensor.tolist() == [1] * 10


@parametrize_device
@pytest.mark.parametrize("most_pinned", [1, 1 << 24])
def test_downloads_of_all_sizes(device, most_pinned, monkeypatch):
    monkeypatch.setattr(buffers, "_MOST_PINNED", most_pinned)
    staging = Staging(torch.device(device))
    for size in (0, 1, 7, 1000, 3):
        source = torch.arange(size, device=device).to(torch.uint8)
        np.testing.assert_array_equal(staging.download(source), source.cpu())


def test_buffers_follow_the_frames():
    staging = Staging(torch.device("cpu"))
    for size in (1000, 10_000, 100):
        staging.upload([np.zeros(size, np.uint8)])
        assert size <= len(staging._up) <= 4 * (size + 255)
