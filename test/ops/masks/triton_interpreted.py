# SPDX-License-Identifier: Apache-2.0
"""Run by test_triton in a process of its own, with Triton's interpreter."""

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yolact_ros.ops.deformable import sample_taps
from yolact_ros.ops.deformable_kernel import sample_taps_by_kernel
from yolact_ros.ops.masks import assemble_batch
from yolact_ros.ops.masks import triton as triton_masks
from yolact_ros.ops.masks.torch import TorchSteps
from yolact_ros.ops.masks.triton import TritonSteps
from yolact_ros.ops.resize import NormalizedResize, normalization_factors
from yolact_ros.ops.resize_kernel import resize_into
from yolact_testing.comparing import assert_same_bits
from yolact_testing.masks import assemble_one

NAN = float("nan")


@settings(deadline=None, max_examples=2)
@given(
    seed=st.integers(0, 2**31),
    prototype_size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    image_size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    spread=st.floats(0.05, 1.5),
    count=st.integers(0, 5),
    programs=st.integers(1, 5),
)
@example(seed=1, prototype_size=(30, 30), image_size=(1, 1), spread=1.5, count=5, programs=2)
@example(seed=2, prototype_size=(1, 1), image_size=(40, 300), spread=1.5, count=5, programs=2)
@example(seed=3, prototype_size=(20, 30), image_size=(60, 300), spread=1.0, count=3, programs=4)
def test_the_kernels_equal_torch_operations(
    seed, prototype_size, image_size, spread, count, programs
):
    assert_as_in_torch(seed, prototype_size, image_size, spread, count, programs)


def assert_as_in_torch(seed, prototype_size, image_size, spread, count, programs):
    """Compare the masks of a random case, and return them."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(*prototype_size, 4, generator=generator)
    coefficients = torch.randn(count, 4, generator=generator)
    corners = torch.rand(count, 2, generator=generator) * 1.6 - 0.3
    sides = spread * torch.randn(count, 2, generator=generator)
    boxes = torch.cat([corners, corners + sides], dim=1)
    case = (prototypes, coefficients, boxes, image_size)
    expected = assemble_one(*case, TorchSteps())
    assert_same_bits(assemble_one(*case, TritonSteps(programs)), expected)
    return expected


def test_masks_of_more_bytes_than_the_programs_of_a_trim_take_in_one_round(monkeypatch):
    monkeypatch.setattr(triton_masks, "TRIM_BYTES", 16)
    expected = assert_as_in_torch(17, (30, 30), (80, 80), 1.5, 2, 4)
    width, height = expected.rectangles[:, 2], expected.rectangles[:, 3]
    assert ((width + 7) // 8 * height).max() > triton_masks.TRIM_PROGRAMS * 16


def test_unused_rows_and_what_is_not_a_number():
    prototypes = torch.full((12, 12, 1), 5.0)
    prototypes[4:6, 4:6] = NAN
    boxes = torch.tensor([[NAN] * 4, [0.0, 0, 1, 1], [1.5, 0, 2, 1], [0.2, 0.2, 0.4, 0.9]])
    case = (prototypes, torch.ones(4, 1), boxes, (70, 90))
    expected = assemble_one(*case, TorchSteps())
    assert expected.rectangles[:, 2].bool().tolist() == [False, True, False, True]
    assert_same_bits(assemble_one(*case, TritonSteps(4)), expected)


def test_a_room_and_a_mask_that_does_not_fit():
    prototypes = torch.full((10, 10, 1), 5.0)
    boxes = torch.tensor([[0.3, 0.3, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0], [0.3, 0.3, 0.5, 0.5]])
    case = (prototypes, torch.ones(3, 1), boxes, (80, 80))
    for room in (2000, 500):
        expected = assemble_one(*case, TorchSteps(), room)
        assert_same_bits(assemble_one(*case, TritonSteps(4), room), expected)


def test_regions_of_more_masks_than_are_taken_together(monkeypatch):
    monkeypatch.setattr(triton_masks, "TOGETHER", 8)
    generator = torch.Generator().manual_seed(3)
    boxes = torch.rand(3, 9, 4, generator=generator) * 1.4 - 0.2
    boxes[:, ::4] = NAN
    sizes = torch.tensor([[300, 1], [1, 300], [720, 1280]], dtype=torch.int32)
    for room in (None, 30_000):
        case = (boxes, (138, 35), sizes, room)
        regions = TorchSteps().regions(*case)
        for found, expected in zip(TritonSteps(4).regions(*case), regions, strict=True):
            assert found.dtype == expected.dtype and torch.equal(found, expected)
        bounds = regions.pixels.clone()
        bounds[::5, 1] = bounds[::5, 0]
        found = TritonSteps(4).rectangles(regions, bounds)
        assert torch.equal(found, TorchSteps().rectangles(regions, bounds))
    assert (regions.crops[:, 0] < 0).any() and (regions.crops[:, 0] >= 0).any()


def test_a_batch_of_images_of_several_sizes():
    generator = torch.Generator().manual_seed(4)
    prototypes = torch.randn(3, 12, 15, 4, generator=generator)
    coefficients = torch.randn(3, 2, 4, generator=generator)
    boxes = torch.rand(3, 2, 4, generator=generator) * 1.4 - 0.2
    sizes = torch.tensor([[40, 1], [1, 130], [70, 90]], dtype=torch.int32)
    case = (prototypes, coefficients, boxes, sizes)
    expected = assemble_batch(*case, TorchSteps())
    assert_same_bits(assemble_batch(*case, TritonSteps(4)), expected)


@settings(deadline=None, max_examples=2)
@given(
    seed=st.integers(0, 2**31),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    output=st.tuples(st.integers(1, 12), st.integers(1, 300)),
    reverse=st.booleans(),
)
@example(seed=1, size=(300, 300), output=(9, 300), reverse=True)
@example(seed=2, size=(1, 700), output=(1, 400), reverse=False)
@example(seed=3, size=(700, 1), output=(9, 1), reverse=True)
def test_a_frame_is_resized_into_its_place(seed, size, output, reverse):
    generator = torch.Generator().manual_seed(seed)
    frame = torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=generator)
    mean, std = (123.68, 116.78, 103.94), (58.40, 57.12, 57.38)
    cpu = torch.device("cpu")
    channels = (2, 1, 0) if reverse else (0, 1, 2)
    resize = NormalizedResize(size, output, channels=channels, mean=mean, std=std, device=cpu)
    scale, shift = normalization_factors(mean, std, cpu)
    batch = torch.full((3, *output, 3), 7.0)
    resize_into(frame, batch[1], reverse=reverse, scale=scale, shift=shift)
    torch.testing.assert_close(batch[1], resize(frame), rtol=0, atol=2e-6)
    assert (batch[[0, 2]] == 7).all()


@settings(deadline=None, max_examples=2)
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 2),
    channels=st.integers(1, 40),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.integers(1, 2),
    spread=st.sampled_from([0.0, 0.7, 5.0, 1e6]),
    dtype=st.sampled_from([torch.float32, torch.float16]),
)
@example(seed=1, batch=2, channels=300, size=(3, 4), stride=1, spread=1.0, dtype=torch.float32)
def test_taps_of_a_deformable_convolution(seed, batch, channels, size, stride, spread, dtype):
    generator = torch.Generator().manual_seed(seed)
    height, width = (-(-side // stride) for side in size)
    x = torch.randn(batch, channels, *size, generator=generator).to(dtype)
    # As the network has it: offsets and modulation are parts of one tensor with channels last.
    predicted = spread * torch.randn(batch, 27, height, width, generator=generator)
    predicted[0, 4, 0, 0], predicted[0, 7, -1, -1] = NAN, float("inf")
    predicted = predicted.to(dtype).to(memory_format=torch.channels_last)
    case = (x, predicted[:, :18], torch.sigmoid(predicted[:, 18:]), stride)
    found, expected = sample_taps_by_kernel(*case), sample_taps(*case)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5, equal_nan=True)
