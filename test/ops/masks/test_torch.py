# SPDX-License-Identifier: Apache-2.0
"""The device path in torch operations, on the CPU, against the CPU path (see test_masks)."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yolact_ros.inference.assemble import split_masks
from yolact_ros.ops.masks import assemble_batch, assemble_masks
from yolact_ros.ops.masks import torch as torch_masks
from yolact_ros.ops.masks.steps import device_steps
from yolact_ros.ops.masks.torch import TorchSteps, mask_regions
from yolact_testing.comparing import assert_same_bits
from yolact_testing.masks import assemble_one, batch_of

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
    assert_same_bits(assemble_one(*case, image_size, TorchSteps()), expected)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), count=st.integers(0, 5))
def test_a_batch_gives_the_masks_of_its_images(seed, count):
    sizes = [(90, 130), (40, 20), (1, 64)]
    cases = [random_case(seed + i, (20, 17), 0.7, count) for i in range(3)]
    rectangles, bits = assemble_batch(*batch_of(cases), sizes_of(sizes), TorchSteps())
    found = iter(split_masks(rectangles.numpy(), bits.numpy()))
    for case, size in zip(cases, sizes, strict=True):
        expected = assemble_masks(*case, size)
        for mask in split_masks(*(part.numpy() for part in expected)):
            own = next(found)
            assert own.rectangle == mask.rectangle
            np.testing.assert_array_equal(own.to_array(), mask.to_array())
    assert next(found, None) is None


def sizes_of(sizes):
    return torch.tensor(sizes, dtype=torch.int32)


def test_chunks_give_the_same_masks(monkeypatch):
    case = random_case(5, (20, 20), 0.6)
    expected = assemble_masks(*case, (90, 130))
    monkeypatch.setattr(torch_masks, "CHUNK_BYTES", 7)
    got = assemble_one(*case, (90, 130), TorchSteps())
    assert_same_bits(got, expected)


def test_a_room_holds_the_masks_that_fit_and_names_those_that_do_not():
    prototypes = torch.full((10, 10, 1), 5.0)
    boxes = torch.tensor([[0.3, 0.3, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0], [NAN] * 4])
    # 4 x 4 prototype pixels of 8 x 8 image pixels: 32 rows of 4 bytes; the second has 80 of 10.
    case = (prototypes, torch.ones(3, 1), boxes, (80, 80), TorchSteps())
    exact = assemble_one(*case)
    assert exact.bits.shape == (32 * 4 + 80 * 10,)
    for room in (1000, 32 * 4 + 80 * 10):  # the second is full to the last byte
        full = assemble_one(*case, room)
        assert full.bits.shape == (room,)
        assert torch.equal(full.rectangles, exact.rectangles)
        assert torch.equal(full.bits[: exact.bits.numel()], exact.bits)
    for room in (32 * 4 + 80 * 10 - 1, 500):
        small = assemble_one(*case, room)
        assert torch.equal(small.rectangles[0], exact.rectangles[0])
        assert small.rectangles[1].tolist() == [0, 0, 0, 0, -1]
    with pytest.raises(ValueError, match="expected room for every mask, got 500 bytes"):
        split_masks(small.rectangles.numpy(), small.bits.numpy())


def test_boxes_that_are_not_numbers_take_no_room():
    boxes = torch.tensor([[[NAN] * 4, [2.0, 2.0, 3.0, 3.0], [0.0, 0.0, 0.5, 0.5]]])
    regions = mask_regions(boxes, (10, 10), sizes_of([(80, 80)]), None)
    # 6 prototype pixels of 8 image pixels each side: 48 rows of 6 bytes.
    assert regions.starts.tolist() == [0, 0, 0, 48 * 6]


def test_masks_of_more_than_2_gib_have_places_of_their_own():
    # 530 masks of a whole image of 7680 x 4320 pixels: nothing as large is allocated for it.
    boxes = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 530, 4)
    regions = mask_regions(boxes, (138, 138), sizes_of([(4320, 7680)]), None)
    assert int(regions.starts[-1]) == 530 * 4320 * 960
    bounds = torch.tensor([[0, 7680, 0, 4320]] * 530, dtype=torch.int32)
    rectangles = TorchSteps().rectangles(regions, bounds)
    assert rectangles[:, 4].tolist() == [i * 4320 * 960 for i in range(530)]


def test_work_follows_the_boxes_and_not_the_image():
    # A tenth of each side: the same prototype pixels, whatever the number of masks beside it.
    boxes = torch.tensor([0.5, 0.5, 0.6, 0.6])
    sizes = [(240, 320), (720, 1280), (2160, 3840)]
    areas = [
        int(mask_regions(boxes.expand(1, count, 4), (138, 138), sizes_of([size]), None).starts[-1])
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
    packed = assemble_one(prototypes, coefficients, boxes, (200, 300), TorchSteps())
    return [part.numpy() for part in packed]


@pytest.mark.slow
def test_steps_without_triton_are_torch_operations():
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import logging; logging.basicConfig(format='%(message)s')\n"
        "import torch\n"
        "from yolact_ros.ops.masks.steps import device_steps\n"
        "import yolact_ros.inference.assemble, yolact_ros.ops.masks.triton\n"
        "import yolact_ros.inference.preprocess\n"
        "print(type(device_steps(torch.device('cpu'))).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True
    )
    assert done.stdout == "TorchSteps\n"
    assert "masks on a GPU: torch's slower operations are used: " in done.stderr
    assert "install triton" in done.stderr


class Broken(TorchSteps):
    def trim(self, packed, regions, rectangles):
        return super().trim(packed, regions, rectangles) ^ 255


def no_compiler():
    raise RuntimeError("Failed to find C compiler. Please specify via CC environment variable.")


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (TorchSteps, None),
        (Broken, "the kernel differs from them by"),
        (no_compiler, "Failed to find C compiler. Please specify via CC environment variable.; "
         "install one, such as gcc"),
    ],
)  # fmt: skip
def test_kernels_are_taken_where_they_can_be_built_and_are_right(steps, said, monkeypatch, caplog):
    pytest.importorskip("triton")
    from yolact_ros.ops.masks import triton

    monkeypatch.setattr(triton, "TritonSteps", steps)
    taken = device_steps.__wrapped__(torch.device("cpu"))
    assert type(taken) is TorchSteps
    assert [said in record.getMessage() for record in caplog.records] == [True] * bool(said)
