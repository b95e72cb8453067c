# SPDX-License-Identifier: Apache-2.0
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from yolact_ros.inference.assemble import split_masks
from yolact_ros.ops.masks import assemble_masks
from yolact_ros.ops.masks import cpu as mask_packing
from yolact_ros.ops.masks.cpu import Axis
from yolact_ros.ops.masks.crop import crop_masks, crop_ranges

NAN = float("nan")


def full_image_masks(prototypes, coefficients, boxes, image_size):
    """The published way: every mask as floats over the whole image, here in double precision."""
    prototypes, coefficients = prototypes.double(), coefficients.double()
    masks = crop_masks(torch.sigmoid(prototypes @ coefficients.t()), boxes)
    enlarged = F.interpolate(
        masks.permute(2, 0, 1)[None], size=image_size, mode="bilinear", align_corners=False
    )
    return enlarged[0].numpy()


def assembled(prototypes, coefficients, boxes, image_size):
    packed = assemble_masks(prototypes, coefficients, boxes, image_size)
    assert packed.rectangles.dtype == torch.int64 and packed.bits.dtype == torch.uint8
    return split_masks(*(part.numpy() for part in packed))


def paste(mask, image_size):
    image = np.zeros(image_size, bool)
    image[mask.rectangle] = mask.to_array()
    return image


def assert_equal_but_for_rounding(masks, values, image_size):
    assert len(masks) == len(values)
    for mask, expected in zip(masks, values, strict=True):
        decided = np.abs(expected - 0.5) > 1e-5  # rounding may flip what lies on the threshold
        pixels = paste(mask, image_size)
        np.testing.assert_array_equal(pixels[decided], (expected > 0.5)[decided])
        if not mask.empty:
            crop = mask.to_array()
            assert crop[0].any() and crop[-1].any() and crop[:, 0].any() and crop[:, -1].any()
            # The padding bits are 0: the bytes of equal masks are equal.
            np.testing.assert_array_equal(np.packbits(crop, axis=1).reshape(-1), mask.data)


def random_case(seed, prototype_size, spread, count=6):
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(*prototype_size, 4, generator=generator)
    coefficients = torch.randn(count, 4, generator=generator)
    # Boxes beyond the image, tiny ones and ones with swapped corners are among these.
    corners = torch.rand(count, 2, generator=generator) * 1.6 - 0.3
    sides = spread * torch.randn(count, 2, generator=generator)
    return prototypes, coefficients, torch.cat([corners, corners + sides], dim=1)


def test_crop_keeps_whole_pixels_with_one_pixel_of_padding():
    masks = torch.ones(8, 8, 1)
    # x from 0.25 to 0.5 of 8 pixels is 2 to 4, padded 1 to 5; y from 0.3 is 2.4, padded 1.4.
    cropped = crop_masks(masks, torch.tensor([[0.25, 0.3, 0.5, 0.6]]))[..., 0]
    assert cropped.sum(dim=0).tolist() == [0, 4, 4, 4, 4, 0, 0, 0]
    assert cropped.sum(dim=1).tolist() == [0, 0, 4, 4, 4, 4, 0, 0]


def test_crop_takes_corners_in_any_order():
    masks = torch.rand(6, 6, 1)
    box = torch.tensor([[0.2, 0.2, 0.7, 0.6]])
    swapped = box[:, [2, 3, 0, 1]]
    torch.testing.assert_close(crop_masks(masks, box), crop_masks(masks, swapped))


side = st.one_of(st.floats(-2, 3, width=32), st.sampled_from([NAN, float("inf"), -float("inf")]))


@settings(deadline=None)
@given(
    box=st.tuples(side, side, side, side),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
)
def test_crop_ranges_are_the_crop(box, height, width):
    box = torch.tensor([box])
    kept = crop_masks(torch.ones(height, width, 1), box)[..., 0]
    x1, x2, y1, y2 = crop_ranges(box, (height, width))[0].tolist()
    expected = torch.zeros(height, width)
    expected[y1:y2, x1:x2] = 1
    assert torch.equal(kept, expected)
    assert (x1, x2, y1, y2) == (0, 0, 0, 0) or (x1 < x2 and y1 < y2)


def test_a_mask_of_one_prototype_by_hand():
    # A 2x2 grid enlarged to 4x4: weights are 1, 3/4, 1/4 and 0 of the left column's value.
    prototypes = torch.tensor([[[4.0], [-4.0]], [[4.0], [-4.0]]])
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    [mask] = assembled(prototypes, torch.ones(1, 1), box, (4, 4))
    assert (mask.x_offset, mask.y_offset, mask.width, mask.height, mask.step) == (0, 0, 2, 4, 1)
    assert mask.data.tolist() == [0b11000000] * 4


def test_a_crossing_between_rows_and_columns_by_hand():
    # Logits ln 3 and -ln 3 are 3/4 and 1/4; 2 rows to 8: weights of the lower row at image rows
    # 2 to 5 are 1/8, 3/8, 5/8, 7/8. The left column falls from 3/4 to 1/4: 4 rows are above one
    # half; the right one rises.
    log3 = float(np.log(3.0))
    prototypes = torch.tensor([[[log3], [-log3]], [[-log3], [log3]]])
    [mask] = assembled(prototypes, torch.ones(1, 1), torch.tensor([[0.0, 0, 1, 1]]), (8, 2))
    assert paste(mask, (8, 2)).tolist() == [[True, False]] * 4 + [[False, True]] * 4


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**31),
    prototype_size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    image_size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    spread=st.floats(0.05, 1.5),
)
@example(seed=1, prototype_size=(40, 40), image_size=(1, 1), spread=1.5)
@example(seed=2, prototype_size=(1, 1), image_size=(120, 150), spread=1.5)
@example(seed=3, prototype_size=(1, 3), image_size=(600, 300), spread=1.0)
@example(seed=4, prototype_size=(20, 20), image_size=(20, 20), spread=0.4)
@example(seed=5, prototype_size=(35, 40), image_size=(3, 5), spread=0.4)
@example(seed=6, prototype_size=(20, 20), image_size=(400, 700), spread=1.5)
def test_assembly_inside_boxes_equals_the_full_image(seed, prototype_size, image_size, spread):
    prototypes, coefficients, boxes = random_case(seed, prototype_size, spread)
    masks = assembled(prototypes, coefficients, boxes, image_size)
    expected = full_image_masks(prototypes, coefficients, boxes, image_size)
    assert_equal_but_for_rounding(masks, expected, image_size)


@pytest.mark.slow
def test_a_large_image_equals_the_full_image():
    prototypes, coefficients, boxes = random_case(7, (138, 138), 0.8, count=3)
    boxes[0] = torch.tensor([0, 0, 1, 1])
    masks = assembled(prototypes, coefficients, boxes, (2160, 3840))
    expected = full_image_masks(prototypes, coefficients, boxes, (2160, 3840))
    assert_equal_but_for_rounding(masks, expected, (2160, 3840))


def test_saturated_masks_on_the_threshold_stay_below_it():
    # 1 and 0 halfway: image pixels with exactly one half are no mask pixels, however it is rounded.
    prototypes = torch.full((4, 4, 1), 100.0)
    prototypes[:, 2:] = -100
    prototypes[2:] = -100
    [mask] = assembled(prototypes, torch.ones(1, 1), torch.tensor([[0.0, 0, 1, 1]]), (12, 12))
    values = full_image_masks(
        prototypes, torch.ones(1, 1), torch.tensor([[0.0, 0, 1, 1]]), (12, 12)
    )
    np.testing.assert_array_equal(paste(mask, (12, 12)), values[0] > 0.5)
    flat = torch.zeros(5, 5, 1)  # one half everywhere
    [mask] = assembled(flat, torch.ones(1, 1), torch.tensor([[0.0, 0, 1, 1]]), (5, 31))
    assert mask.empty


def test_boxes_outside_the_image_or_not_a_number_give_empty_masks():
    prototypes = torch.ones(10, 10, 1)
    boxes = [[1.3, 0.2, 1.6, 0.4], [-2.0, 0.2, -1.0, 0.4], [NAN] * 4, [0.1, NAN, 0.5, 0.5]]
    packed = assemble_masks(prototypes, torch.ones(4, 1), torch.tensor(boxes), (50, 70))
    assert packed.rectangles.tolist() == [[0, 0, 0, 0, 0]] * 4
    assert packed.bits.numel() == 0


def test_no_box_gives_no_mask():
    packed = assemble_masks(torch.ones(9, 9, 3), torch.ones(0, 3), torch.ones(0, 4), (50, 70))
    assert packed.rectangles.shape == (0, 5) and packed.bits.shape == (0,)


def test_prototypes_that_are_not_numbers_count_as_no_mask():
    prototypes = torch.full((10, 10, 1), 5.0)
    prototypes[4:6, 4:6] = NAN
    whole = torch.tensor([[0.0, 0, 1, 1]])
    masks = assembled(prototypes, torch.ones(1, 1), whole, (50, 50))
    absent = prototypes.nan_to_num(nan=-1e9)
    expected = full_image_masks(absent, torch.ones(1, 1), whole, (50, 50))
    assert not paste(masks[0], (50, 50))[22:28, 22:28].any()
    assert_equal_but_for_rounding(masks, expected, (50, 50))
    [mask] = assembled(prototypes * NAN, torch.ones(1, 1), whole, (50, 50))
    assert mask.empty


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_give_the_masks_of_their_values(dtype):
    prototypes, coefficients, boxes = (part.to(dtype) for part in random_case(3, (20, 20), 0.5))
    masks = assembled(prototypes, coefficients, boxes, (90, 130))
    values = [part.float() for part in (prototypes, coefficients)]
    # Boxes keep their type: the crop is computed in it, as decoding is.
    expected = full_image_masks(*values, boxes, (90, 130))
    assert_equal_but_for_rounding(masks, expected, (90, 130))


def test_prototypes_in_another_layout_give_the_same_masks():
    prototypes, coefficients, boxes = random_case(4, (20, 25), 0.5)
    planes = prototypes.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    expected = assemble_masks(prototypes, coefficients, boxes, (90, 130))
    got = assemble_masks(planes, coefficients, boxes, (90, 130))
    assert torch.equal(got.rectangles, expected.rectangles)
    assert torch.equal(got.bits, expected.bits)


@given(size=st.integers(1, 200), image_size=st.integers(1, 2000))
@settings(deadline=None)
def test_an_axis_gives_each_image_pixel_the_shares_of_two_prototype_pixels(size, image_size):
    axis = Axis.between(size, image_size)
    ramp = torch.arange(size, dtype=torch.float64)[None, None]
    expected = F.interpolate(ramp, size=image_size, mode="linear", align_corners=False)[0, 0]
    padded = np.concatenate([[0], np.arange(size), [size - 1]])
    np.testing.assert_allclose(padded @ axis.matrix, expected, atol=1e-4)
    for cell in range(-1, size):
        first, last = axis.starts[cell + 1], axis.starts[cell + 2] if cell < size - 1 else None
        assert (axis.cells[first:last] == cell).all()
    assert axis.depth == np.bincount(axis.cells + 1).max()


def held(image_size, count, side):
    """Most bytes that NumPy held at once while assembling `count` noisy masks of one size."""
    generator = torch.Generator().manual_seed(0)
    prototypes = torch.randn(138, 138, 8, generator=generator)
    coefficients = torch.randn(count, 8, generator=generator)
    corners = torch.rand(count, 2, generator=generator) * (1 - side)
    boxes = torch.cat([corners, corners + side], dim=1)
    tracemalloc.start()
    try:
        packed = assemble_masks(prototypes, coefficients, boxes, image_size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return peak - packed.bits.numel()


def test_memory_does_not_follow_the_number_of_instances_times_the_image():
    few, many = (held((720, 1280), count, side=0.2) for count in (10, 100))
    # 90 more masks as floats over the image would be 330 MB; as bits alone, 10 MB.
    assert many - few < 1e6
    small, large = (held((height, 1280), 20, side=0.1) for height in (720, 2160))
    assert large - small < 2e6  # only the tables of the axis and one mask of 1 %
    assert held((720, 1280), 100, side=0.22) < 369e6 / 10


def test_crossings_and_all_pixels_give_the_same_bits(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 4, 6, 6, generator=generator)
    prototypes = F.interpolate(coarse, (69, 69), mode="bicubic")[0].permute(1, 2, 0)
    coefficients = torch.randn(8, 4, generator=generator)
    corners = torch.rand(8, 2, generator=generator) * 0.4
    boxes = torch.cat([corners, corners + 0.6], dim=1)
    ways = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(mask_packing, "CROSSING_FROM", 0)
        monkeypatch.setattr(mask_packing, "CROSSING_SHARE", share)
        ways.append(assemble_masks(prototypes, coefficients, boxes, (355, 613)))
    assert torch.equal(ways[0].rectangles, ways[1].rectangles)
    assert torch.equal(ways[0].bits, ways[1].bits)
    assert ways[0].bits.any()


@pytest.mark.parametrize("side", [0.2, 0.9], ids=["small crops", "large crops"])
def test_more_masks_than_are_computed_together(side):
    generator = torch.Generator().manual_seed(1)
    prototypes = torch.rand(20, 24, 4, generator=generator)
    coefficients = torch.randn(2 * mask_packing.TOGETHER + 3, 4, generator=generator)
    corners = torch.rand(len(coefficients), 2, generator=generator) * (1 - side)
    boxes = torch.cat([corners, corners + side], dim=1)
    masks = assembled(prototypes, coefficients, boxes, (90, 110))
    expected = full_image_masks(prototypes, coefficients, boxes, (90, 110))
    assert_equal_but_for_rounding(masks, expected, (90, 110))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    prototype_size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    image_size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
)
def test_crossings_equal_the_full_image(seed, prototype_size, image_size):
    prototypes, coefficients, boxes = random_case(seed, prototype_size, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_packing, "CROSSING_FROM", 0)
        patch.setattr(mask_packing, "CROSSING_SHARE", 1.0)
        masks = assembled(prototypes, coefficients, boxes, image_size)
    expected = full_image_masks(prototypes, coefficients, boxes, image_size)
    assert_equal_but_for_rounding(masks, expected, image_size)


@pytest.mark.parametrize("side", [1.0, 0.2])  # of the boxes: computed whole, and crop by crop
def test_products_that_are_too_large_are_found_without_a_warning(side):
    """Of finite factors, as of a network that diverged."""
    prototypes = torch.full((12, 16, 2), 3e38)
    coefficients = torch.tensor([[2.0, 2.0], [-2.0, -2.0]])
    boxes = torch.tensor([[0.0, 0.0, side, side]] * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        full, absent = assembled(prototypes, coefficients, boxes, (24, 32))
    assert not full.empty and absent.empty
