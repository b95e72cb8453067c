# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yolact_ros.masks import unpack_mask
from yolact_ros.structures import Instances, PackedMask

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


def instances_of(masks, scores, class_ids):
    return Instances(
        image_size=masks[0].shape,
        boxes=np.zeros((len(masks), 4), np.float32),
        scores=np.array(scores, np.float32),
        class_ids=np.array(class_ids, np.int64),
        class_names=tuple(f"class {i}" for i in class_ids),
        packed_masks=tuple(PackedMask.from_array(mask) for mask in masks),
    )


@given(masks, st.integers(0, 50), st.integers(0, 50))
def test_packing_and_unpacking_gives_the_mask_back(mask, x_offset, y_offset):
    packed = PackedMask.from_array(mask, x_offset, y_offset)
    image = np.zeros((120, 120), bool)
    image[packed.rectangle] = packed.to_array()
    expected = np.zeros((120, 120), bool)
    expected[y_offset : y_offset + mask.shape[0], x_offset : x_offset + mask.shape[1]] = mask
    np.testing.assert_array_equal(image, expected)
    assert packed.area == mask.sum()


@given(masks)
def test_the_rectangle_is_tight(mask):
    packed = PackedMask.from_array(mask)
    if not mask.any():
        assert packed.empty
        assert (packed.width, packed.height, packed.step, packed.data.size) == (0, 0, 0, 0)
        return
    crop = packed.to_array()
    assert crop[0].any() and crop[-1].any() and crop[:, 0].any() and crop[:, -1].any()


def test_bits_are_most_significant_first_with_padded_rows():
    mask = np.zeros((2, 10), bool)
    mask[0, 0] = mask[0, 9] = mask[1, 1] = True
    packed = PackedMask.from_array(mask, x_offset=3, y_offset=5)
    assert packed.data.tolist() == [0b10000000, 0b01000000, 0b01000000, 0]
    assert (packed.x_offset, packed.y_offset, packed.width, packed.height) == (3, 5, 10, 2)
    assert packed.step == 2


@pytest.mark.parametrize(
    ("data", "width", "height", "step", "message"),
    [
        (b"\0" * 4, 9, 2, 1, "step >= ceil"),
        (b"\0" * 3, 9, 2, 2, r"2 \* 2 = 4 bytes of data, got 3"),
        (b"\0" * 5, 9, 2, 2, "got 5"),
        (b"", -1, 0, 0, "width -1"),
    ],
)
def test_contradicting_sizes_are_refused(data, width, height, step, message):
    with pytest.raises(ValueError, match=message):
        unpack_mask(data, width, height, step)


def test_from_array_refuses_anything_but_a_bool_image():
    with pytest.raises(ValueError, match=r"expected \(h, w\) bool, got \(2, 2\) uint8"):
        PackedMask.from_array(np.zeros((2, 2), np.uint8))


def test_maps_have_the_better_score_on_top():
    left, right = np.zeros((2, 1, 5), bool)
    left[0, 0:3] = True
    right[0, 2:5] = True
    found = instances_of([left, right], scores=[0.9, 0.5], class_ids=[7, 0])
    assert found.instance_map().tolist() == [[1, 1, 1, 2, 2]]
    assert found.class_map().tolist() == [[7, 7, 7, 0, 0]]
    assert found.instance_map().dtype == np.uint16
    assert found.class_map().dtype == np.uint8


def test_maps_of_nothing_are_background():
    nothing = instances_of([np.zeros((2, 3), bool)], [0.5], [1]).without_empty_masks()
    assert len(nothing) == 0
    assert nothing.masks.shape == (0, 2, 3)
    assert (nothing.instance_map() == 0).all()
    assert (nothing.class_map() == 255).all()


def test_a_class_id_beyond_the_class_map_stays_out_of_it():
    found = instances_of([np.ones((1, 1), bool)], [0.5], [255 + 1])
    assert found.class_map().tolist() == [[255]]


def test_select_takes_integers_and_bools_in_order():
    shapes = [np.eye(3, dtype=bool), np.ones((3, 3), bool), np.zeros((3, 3), bool)]
    found = instances_of(shapes, [0.9, 0.8, 0.7], [0, 1, 2])
    assert found.select([2, 0]).class_ids.tolist() == [2, 0]
    assert found.select(np.array([False, True, False])).class_names == ("class 1",)
    assert found.without_empty_masks().class_ids.tolist() == [0, 1]
    np.testing.assert_array_equal(found.masks, shapes)


def test_fields_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"scores: expected shape \(1,\) for 1 masks, got \(2,\)"):
        instances_of([np.ones((1, 1), bool)], [0.5, 0.4], [0])
