# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.inference.assemble import cut, join
from yolact_testing.networks import parametrize_device

TYPES = [torch.uint8, torch.int32, torch.int64, torch.float32, torch.bool]


@parametrize_device
@settings(deadline=None, max_examples=60)
@given(
    parts=st.lists(
        st.tuples(st.sampled_from(TYPES), st.lists(st.integers(0, 4), min_size=1, max_size=3)),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_joined_can_be_cut(device, parts):
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randint(0, 2, shape, generator=generator).to(device, dtype) for dtype, shape in parts
    ]
    joined = join(tensors)
    assert joined.device.type == device
    for array, tensor in zip(cut(joined.cpu(), tensors), tensors, strict=True):
        assert array.dtype == tensor.cpu().numpy().dtype
        np.testing.assert_array_equal(array, tensor.cpu())


def test_parts_of_a_transposed_tensor_come_in_its_order():
    tensors = [torch.arange(6).view(2, 3).t(), torch.tensor([1.5])]
    found, other = cut(join(tensors), tensors)
    assert found.tolist() == [[0, 3], [1, 4], [2, 5]] and other.tolist() == [1.5]
