# SPDX-License-Identifier: Apache-2.0
import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.ops.boxes import (
    center_to_corners,
    corners_to_center,
    decode_boxes,
    encode_boxes,
)
from yolact_testing.networks import parametrize_device

side = st.floats(0.01, 1)
box = st.tuples(st.floats(0, 1), st.floats(0, 1), side, side)


@parametrize_device
def test_decode_by_hand(device):
    priors = torch.tensor([[0.5, 0.5, 0.2, 0.4]], device=device)
    offsets = torch.tensor([[1.0, -1.0, 0.0, 5 * math.log(2)]], device=device)
    # centre (0.5 + 0.1 * 0.2, 0.5 - 0.1 * 0.4), size (0.2, 0.4 * 2)
    expected = torch.tensor([[0.42, 0.06, 0.62, 0.86]])
    torch.testing.assert_close(decode_boxes(offsets, priors).cpu(), expected)


@given(st.lists(st.tuples(box, box), min_size=1, max_size=8))
def test_decode_undoes_encode(pairs):
    priors = torch.tensor([pair[0] for pair in pairs])
    boxes = center_to_corners(torch.tensor([pair[1] for pair in pairs]))
    decoded = decode_boxes(encode_boxes(boxes, priors), priors)
    torch.testing.assert_close(decoded, boxes, atol=1e-5, rtol=1e-4)


@given(box)
def test_corner_and_centre_form_are_inverse(values):
    boxes = torch.tensor([values])
    torch.testing.assert_close(corners_to_center(center_to_corners(boxes)), boxes)
