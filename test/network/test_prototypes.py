# SPDX-License-Identifier: Apache-2.0
"""Prototypes of parts of an image are those of the whole, wherever a mask needs them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.network import prototypes
from yolact_ros.network.heads import Protonet
from yolact_ros.network.prototypes import prototypes_within
from yolact_ros.ops.masks.crop import crop_ranges

sides = st.floats(-0.3, 1.3) | st.just(float("nan"))
some_boxes = st.lists(st.tuples(sides, sides, sides, sides), max_size=4)


class Counted:
    """Calls a protonet, and keeps the sizes of what it was called with."""

    def __init__(self, protonet):
        self.protonet, self.margin, self.prototypes = protonet, protonet.margin, protonet.prototypes
        self.sizes = []

    def __call__(self, p3):
        self.sizes.append(tuple(p3.shape[2:]))
        return self.protonet(p3)


def make(convolutions, height, width, images=1):
    torch.manual_seed(height * width + convolutions)
    protonet = Protonet(8, 4, convolutions).eval()
    for parameter in protonet.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    p3 = torch.randn(images, 8, height, width).contiguous(memory_format=torch.channels_last)
    return Counted(protonet), Counted(protonet), p3


def tensor(boxes):
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 3), st.integers(3, 30), st.integers(3, 30), st.lists(some_boxes, max_size=3))
@torch.inference_mode()
def test_parts_equal_the_whole(convolutions, height, width, boxes):
    boxes = [tensor(of_image) for of_image in boxes] or [tensor([])]
    protonet, whole, p3 = make(convolutions, height, width, len(boxes))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prototypes, "WHOLE_FROM", 1.01)  # only what is the whole is taken for it
        patched.setattr(prototypes, "PART_COST", 0.0)
        found = prototypes_within(protonet, whole, p3, boxes)
    expected = protonet.protonet(p3)
    assert whole.sizes == []
    for one, other, of_image in zip(found, expected, boxes, strict=True):
        assert one.shape == other.shape == (2 * height, 2 * width, 4)
        for x1, x2, y1, y2 in crop_ranges(of_image, (2 * height, 2 * width)).tolist():
            torch.testing.assert_close(one[y1:y2, x1:x2], other[y1:y2, x1:x2], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_only_what_is_needed_is_computed():
    protonet, whole, p3 = make(1, 40, 60, images=4)  # a margin of 2 pixels
    corner, middle = (0.0, 0.0, 0.1, 0.1), (0.5, 0.5, 0.6, 0.6)
    boxes = [[], [corner], [middle, corner, (0.55, 0.52, 0.61, 0.55)], [(0.0, 0.1, 1.0, 0.9)]]
    found = prototypes_within(protonet, whole, p3, list(map(tensor, boxes)))
    # Crops reach one prototype pixel beyond the boxes: half a pixel more of P3.
    assert protonet.sizes == [(7, 9), (7, 9), (10, 13)]
    assert whole.sizes == [(40, 60)]
    assert found[0].count_nonzero() == 0 < found[1].count_nonzero()


@torch.inference_mode()
def test_many_small_parts_cost_more_than_the_whole():
    protonet, whole, p3 = make(0, 60, 60)
    boxes = [(x / 10, y / 10, x / 10 + 0.01, y / 10 + 0.01) for x in range(10) for y in range(10)]
    prototypes_within(protonet, whole, p3, [tensor(boxes)])
    assert (protonet.sizes, whole.sizes) == ([], [(60, 60)])
