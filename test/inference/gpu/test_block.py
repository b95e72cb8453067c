# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.inference.gpu.block import head_bytes, join_block, read_block
from yolact_ros.ops.masks import PackedMasks


@settings(deadline=None, max_examples=50)
@given(images=st.integers(1, 4), places=st.integers(0, 9), bits=st.integers(0, 20))
@pytest.mark.parametrize("masks", [False, True])
def test_what_is_joined_can_be_read(images, places, bits, masks):
    candidates = torch.arange(images) + 7
    summary = torch.rand(images, places, 7)
    packed = PackedMasks(
        torch.arange(images * places * 5).view(-1, 5), torch.arange(bits).to(torch.uint8)
    )
    data = join_block(candidates, summary, packed if masks else None).numpy()
    head = head_bytes(images, places, masks=masks)
    assert len(data) == head + bits * masks
    for end in (head, len(data)):  # without and with the bits
        block = read_block(data[:end], images, places, masks=masks)
        np.testing.assert_array_equal(block.candidates, candidates)
        np.testing.assert_array_equal(block.summary, summary)
        rows = packed.rectangles.view(images, places, 5) if masks else np.zeros((images, 0, 5))
        np.testing.assert_array_equal(block.rectangles, rows)
        np.testing.assert_array_equal(block.bits, data[head:end])
