# SPDX-License-Identifier: Apache-2.0
"""The device path in torch operations, on the CPU, against the CPU path (see test_masks)."""

import subprocess
import sys

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yolact_ros.inference.assemble import split_masks
from yolact_ros.ops.masks import assemble_masks, device_steps
from yolact_ros.ops.masks import torch as torch_masks
from yolact_ros.ops.masks.torch import TorchSteps, assemble_on_device, mask_regions
from yolact_testing.comparing import assert_same_bits

NAN = float("nan")


def random_case(seed, prototype_size, spread, count=6):
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(*prototype_size, 4, generator=generator)
    coefficients = torch.randn(count, 4, generator=generator)
    corners = torch.rand(count, 2, generator=generator) * 1.6 - 0.3
    sides = spread * torch.randn(count, 2, generator=generator)
    return prototypes, coefficients, torch.cat([corners, corners + sides], dim=1)


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 2**31),
    prototype_size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    image_size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    spread=st.floats(0.05, 1.5),
    count=st.integers(0, 6),
)
@example(seed=1, prototype_size=(40, 40), image_size=(1, 1), spread=1.5, count=6)
@example(seed=2, prototype_size=(1, 1), image_size=(120, 150), spread=1.5, count=6)
@example(seed=3, prototype_size=(40, 40), image_size=(720, 1280), spread=1.0, count=3)
def test_torch_operations_give_the_masks_of_the_cpu_path(
    seed, prototype_size, image_size, spread, count
):
    case = random_case(seed, prototype_size, spread, count)
    expected = assemble_masks(*case, image_size)
    assert_same_bits(assemble_on_device(*case, image_size, steps=TorchSteps()), expected)


def test_chunks_give_the_same_masks(monkeypatch):
    case = random_case(5, (20, 20), 0.6)
    expected = assemble_masks(*case, (90, 130))
    monkeypatch.setattr(torch_masks, "CHUNK_BYTES", 7)
    got = assemble_on_device(*case, (90, 130), steps=TorchSteps())
    assert_same_bits(got, expected)


def test_a_capacity_holds_the_masks_that_fit_and_names_those_that_do_not():
    prototypes = torch.full((10, 10, 1), 5.0)
    boxes = torch.tensor([[0.3, 0.3, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0], [NAN] * 4])
    # 4 x 4 prototype pixels of 8 x 8 image pixels: 32 rows of 4 bytes; the second has 80 of 10.
    case = (prototypes, torch.ones(3, 1), boxes, (80, 80))
    exact = assemble_on_device(*case, steps=TorchSteps())
    assert exact.bits.shape == (32 * 4 + 80 * 10,)
    for capacity in (1000, 32 * 4 + 80 * 10):
        full = assemble_on_device(*case, capacity=capacity, steps=TorchSteps())
        assert full.bits.shape == (capacity,)
        assert torch.equal(full.rectangles, exact.rectangles)
        assert torch.equal(full.bits[: exact.bits.numel()], exact.bits)
    small = assemble_on_device(*case, capacity=500, steps=TorchSteps())
    assert torch.equal(small.rectangles[0], exact.rectangles[0])
    assert small.rectangles[1].tolist() == [0, 0, 0, 0, -1]
    with pytest.raises(ValueError, match="expected room for every mask, got 500 bytes"):
        split_masks(small.rectangles.numpy(), small.bits.numpy())


def test_boxes_that_are_not_numbers_take_no_room():
    boxes = torch.tensor([[NAN] * 4, [2.0, 2.0, 3.0, 3.0], [0.0, 0.0, 0.5, 0.5]])
    regions = mask_regions(boxes, (10, 10), (80, 80), None)
    # 6 prototype pixels of 8 image pixels each side: 48 rows of 6 bytes.
    assert regions.starts.tolist() == [0, 0, 0, 48 * 6]


def test_work_follows_the_boxes_and_not_the_image():
    # A tenth of each side: the same prototype pixels, whatever the number of masks beside it.
    boxes = torch.tensor([[0.5, 0.5, 0.6, 0.6]])
    sizes = [(240, 320), (720, 1280), (2160, 3840)]
    areas = [
        int(mask_regions(boxes.repeat(count, 1), (138, 138), size, None).starts[-1])
        * 8
        / (count * size[0] * size[1])
        for size in sizes
        for count in (1, 100)
    ]
    # 1 % of the image, 16 prototype pixels of 13.8 with the crop's padding, and whole bytes.
    assert all(0.01 < area < 0.01 * (17 / 13.8) ** 2 * 1.1 for area in areas)


def test_the_result_is_the_same_in_half_precision_but_for_borders():
    prototypes, coefficients, boxes = random_case(9, (40, 40), 0.8)
    expected = split_masks(*assemble_numpy(prototypes, coefficients, boxes))
    halves = assemble_numpy(prototypes.half(), coefficients.half(), boxes)
    for own, other in zip(split_masks(*halves), expected, strict=True):
        both = torch.zeros(2, 200, 300, dtype=torch.bool).numpy()
        both[0][own.rectangle] = own.to_array()
        both[1][other.rectangle] = other.to_array()
        union = (both[0] | both[1]).sum()
        assert union == 0 or (both[0] & both[1]).sum() / union >= 0.98


def assemble_numpy(prototypes, coefficients, boxes):
    packed = assemble_on_device(prototypes, coefficients, boxes, (200, 300), steps=TorchSteps())
    return [part.numpy() for part in packed]


@pytest.mark.slow
def test_steps_without_triton_are_torch_operations():
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'triton' else find(name, *rest)\n"
        "from yolact_ros.ops.masks import TorchSteps, device_steps\n"
        "import yolact_ros.inference.assemble, yolact_ros.ops.masks.triton\n"
        "assert isinstance(device_steps(), TorchSteps)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_steps_with_triton_are_its_kernels():
    pytest.importorskip("triton")
    assert type(device_steps()).__name__ == "TritonSteps"
