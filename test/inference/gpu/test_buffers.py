# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from yolact_ros.inference.gpu.buffers import download, upload

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def random_images(seed):
    """One image, and one that is not contiguous."""
    generator = np.random.default_rng(seed)
    one = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return one, generator.integers(0, 256, (8, 6, 3), dtype=np.uint8)[::2, ::-1]


@pytest.mark.parametrize("device", DEVICES)
def test_arrays_arrive_one_behind_the_other(device):
    targets = []
    for seed in range(50):  # none of which waits for the one before
        targets.append(torch.zeros(4 * 5 * 3 + 4 * 6 * 3, dtype=torch.uint8, device=device))
        upload(random_images(seed), targets[-1])
    for seed, target in enumerate(targets):
        one, other = random_images(seed)
        np.testing.assert_array_equal(target[:60].view(4, 5, 3).cpu(), one)
        np.testing.assert_array_equal(target[60:].view(4, 6, 3).cpu(), other)


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_uploaded_does_not_change_with_the_array(device):
    array, target = np.ones(10, np.uint8), torch.zeros(10, dtype=torch.uint8, device=device)
    upload([array], target)
    array[:] = 7
    assert target.tolist() == [1] * 10


def test_a_target_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"target: expected \(10,\) uint8, got \(9,\) torch.uint8"):
        upload([np.ones(10, np.uint8)], torch.zeros(9, dtype=torch.uint8))


@pytest.mark.parametrize("device", DEVICES)
def test_downloads_keep_shape_and_type_and_stay(device):
    source = torch.arange(6, dtype=torch.float32, device=device).view(2, 3)
    first = download(source)
    source.fill_(9)
    second = download(source)
    assert first.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert second.dtype == torch.float32 and (second == 9).all()
    assert not first.is_pinned()
