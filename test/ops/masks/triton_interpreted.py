# SPDX-License-Identifier: Apache-2.0
"""Run by test_triton in a process of its own, with Triton's interpreter."""

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yolact_ros.ops.masks.torch import TorchSteps, assemble_on_device
from yolact_ros.ops.masks.triton import TritonSteps
from yolact_testing.comparing import assert_same_bits

NAN = float("nan")


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 2**31),
    prototype_size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    image_size=st.tuples(st.integers(1, 100), st.integers(1, 100)),
    spread=st.floats(0.05, 1.5),
    count=st.integers(0, 5),
    programs=st.integers(1, 5),
)
@example(seed=1, prototype_size=(30, 30), image_size=(1, 1), spread=1.5, count=5, programs=2)
@example(seed=2, prototype_size=(1, 1), image_size=(40, 300), spread=1.5, count=5, programs=2)
@example(seed=3, prototype_size=(20, 30), image_size=(150, 450), spread=1.0, count=3, programs=4)
# Masks of more bytes than the programs of a trim take in one round.
@example(seed=17, prototype_size=(30, 30), image_size=(300, 300), spread=1.5, count=2, programs=4)
def test_the_kernels_equal_torch_operations(
    seed, prototype_size, image_size, spread, count, programs
):
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(*prototype_size, 4, generator=generator)
    coefficients = torch.randn(count, 4, generator=generator)
    corners = torch.rand(count, 2, generator=generator) * 1.6 - 0.3
    sides = spread * torch.randn(count, 2, generator=generator)
    boxes = torch.cat([corners, corners + sides], dim=1)
    case = (prototypes, coefficients, boxes, image_size)
    expected = assemble_on_device(*case, steps=TorchSteps())
    assert_same_bits(assemble_on_device(*case, steps=TritonSteps(programs)), expected)


def test_unused_rows_and_what_is_not_a_number():
    prototypes = torch.full((12, 12, 1), 5.0)
    prototypes[4:6, 4:6] = NAN
    boxes = torch.tensor([[NAN] * 4, [0.0, 0, 1, 1], [1.5, 0, 2, 1], [0.2, 0.2, 0.4, 0.9]])
    case = (prototypes, torch.ones(4, 1), boxes, (70, 90))
    expected = assemble_on_device(*case, steps=TorchSteps())
    assert expected.rectangles[:, 2].bool().tolist() == [False, True, False, True]
    assert_same_bits(assemble_on_device(*case, steps=TritonSteps(4)), expected)


def test_a_capacity_and_a_mask_that_does_not_fit():
    prototypes = torch.full((10, 10, 1), 5.0)
    boxes = torch.tensor([[0.3, 0.3, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]])
    case = (prototypes, torch.ones(2, 1), boxes, (80, 80))
    for capacity in (1000, 500):
        expected = assemble_on_device(*case, capacity=capacity, steps=TorchSteps())
        found = assemble_on_device(*case, capacity=capacity, steps=TritonSteps(4))
        assert_same_bits(found, expected)
