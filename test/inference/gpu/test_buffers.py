# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from yolact_ros.inference.gpu.buffers import Staging

CPU = torch.device("cpu")


def test_arrays_arrive_one_behind_the_other():
    staging = Staging(CPU, slots=2)
    for seed in range(5):
        generator = np.random.default_rng(seed)
        one = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        other = generator.integers(0, 256, (8, 6, 3), dtype=np.uint8)[::2, ::-1]
        target = torch.zeros(4 * 5 * 3 + 4 * 6 * 3, dtype=torch.uint8)
        staging.upload([one, other], target)
        np.testing.assert_array_equal(target[:60].view(4, 5, 3), one)
        np.testing.assert_array_equal(target[60:].view(4, 6, 3), other)


def test_what_is_uploaded_does_not_change_with_the_array():
    staging = Staging(CPU)
    array, target = np.ones(10, np.uint8), torch.zeros(10, dtype=torch.uint8)
    staging.upload([array], target)
    array[:] = 7
    assert target.tolist() == [1] * 10


def test_a_target_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"target: expected \(10,\) uint8, got \(9,\) torch.uint8"):
        Staging(CPU).upload([np.ones(10, np.uint8)], torch.zeros(9, dtype=torch.uint8))
    with pytest.raises(ValueError, match="slots: expected 1 or more, got 0"):
        Staging(CPU, slots=0)


def test_downloads_keep_shape_and_type_and_stay():
    staging = Staging(CPU, slots=1)
    first = staging.download(torch.arange(6, dtype=torch.float32).view(2, 3))
    second = staging.download(torch.full((2, 3), 9.0))
    assert first.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert second.dtype == torch.float32 and (second == 9).all()
