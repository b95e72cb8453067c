# SPDX-License-Identifier: Apache-2.0
"""The Python decoder: round trips, hand-written bits, and messages that contradict themselves."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from yolact_ros.masks import decode_mask, full_mask, instance_map
from yolact_ros.structures import PackedMask
from yolact_testing.instances import instances_of


def _mask(x_offset=3, y_offset=4, width=10, height=2, step=2, data=b"\x80\x7f\x60\x3f"):
    """By default the rows X........X and .XX......., with all padding bits set."""
    return SimpleNamespace(
        x_offset=x_offset, y_offset=y_offset, width=width, height=height, step=step, data=data
    )


def _array(masks, height, width):
    instances = [SimpleNamespace(mask=mask) for mask in masks]
    return SimpleNamespace(image_height=height, image_width=width, instances=instances)


def test_bits_by_hand():
    expected = np.zeros((2, 10), bool)
    expected[0, [0, 9]] = True
    expected[1, [1, 2]] = True
    np.testing.assert_array_equal(decode_mask(_mask()), expected)


def test_a_wider_step_is_skipped():
    wide = _mask(step=3, data=b"\x80\x7f\xff\x60\x3f\xff")
    np.testing.assert_array_equal(decode_mask(wide), decode_mask(_mask()))


def test_full_mask_places_the_rectangle():
    image = full_mask(_mask(), image_height=6, image_width=13)
    assert image.shape == (6, 13)
    assert sorted(zip(*np.nonzero(image), strict=True)) == [(4, 3), (4, 12), (5, 4), (5, 5)]


def test_instance_map_has_the_better_score_on_top():
    first = _mask(0, 0, 2, 1, 1, b"\xc0")
    second = _mask(1, 0, 2, 1, 1, b"\xc0")
    found = instance_map(_array([first, second], height=2, width=4))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, [[1, 1, 2, 0], [0, 0, 0, 0]])


def test_data_may_be_what_rclpy_gives():
    from array import array

    from yolact_ros.msg import Mask

    message = Mask(x_offset=3, y_offset=4, width=10, height=2, step=2)
    message.data = array("B", b"\x80\x7f\x60\x3f")
    np.testing.assert_array_equal(decode_mask(message), decode_mask(_mask()))


shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(region=arrays.arrays(bool, shapes), left=st.integers(0, 5), top=st.integers(0, 5))
def test_what_is_packed_comes_back(region, left, top):
    packed = PackedMask.from_array(region, x_offset=left, y_offset=top)
    height, width = region.shape[0] + top, region.shape[1] + left
    expected = np.zeros((height, width), bool)
    expected[top:, left:] = region
    np.testing.assert_array_equal(full_mask(packed, height, width), expected)
    assert decode_mask(packed).sum() == region.sum()


@given(regions=st.lists(arrays.arrays(bool, (9, 14)), min_size=1, max_size=4))
def test_instance_map_is_that_of_the_segmenter(regions):
    instances = instances_of(regions)
    message = _array(instances.packed_masks, height=9, width=14)
    np.testing.assert_array_equal(instance_map(message), instances.instance_map())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"step": 1, "data": b"\0\0"}, "step >= ceil.*width 10, height 2, step 1"),
        ({"data": b"\0\0\0"}, "= 4 bytes of data, got 3"),
        ({"data": b"\0\0\0\0\0"}, "= 4 bytes of data, got 5"),
        ({"height": 0}, "= 0 bytes of data, got 4"),
    ],
)
def test_contradicting_sizes_are_refused(changes, expected):
    with pytest.raises(ValueError, match=expected):
        decode_mask(_mask(**changes))
    with pytest.raises(ValueError, match=expected):
        full_mask(_mask(**changes), 100, 100)
    with pytest.raises(ValueError, match=rf"instances\[1\]: .*{expected}"):
        instance_map(_array([_mask(), _mask(**changes)], 100, 100))


@pytest.mark.parametrize(("height", "width"), [(5, 13), (6, 12), (0, 0)])
def test_a_rectangle_beyond_the_image_is_refused(height, width):
    expected = f"within the image of {width}x{height} pixels, got columns 3 to 13 and rows 4 to 6"
    with pytest.raises(ValueError, match=expected):
        full_mask(_mask(), height, width)


def test_an_empty_mask_is_empty():
    empty = _mask(0, 0, 0, 0, 0, b"")
    assert decode_mask(empty).shape == (0, 0)
    assert not full_mask(empty, 3, 4).any()
