# SPDX-License-Identifier: Apache-2.0
"""Millimetres become metres, and other sizes the image's, without mixing depths."""

import numpy as np
import pytest

from yolact_ros.errors import InputError
from yolact_ros.space import depth_in_metres
from yolact_ros.space.depth import at_image_size


def test_millimetres_become_metres():
    metres = depth_in_metres(np.array([[0, 1, 1500, 65535]], np.uint16))
    assert metres.dtype == np.float32
    assert metres[0].tolist() == pytest.approx([0, 0.001, 1.5, 65.535])


def test_metres_are_no_millimetres():
    with pytest.raises(InputError, match=r"\(H, W\) uint16 millimetres, got \(1, 1\) float32"):
        depth_in_metres(np.ones((1, 1), np.float32))


def test_a_smaller_image_is_repeated():
    small = np.array([[1, 2], [3, np.nan]], np.float32)
    large = at_image_size(small, (6, 6))
    assert np.array_equal(large, np.repeat(np.repeat(small, 3, 0), 3, 1), equal_nan=True)


def test_of_a_larger_image_the_middle_pixels_are_taken():
    large = np.arange(36, dtype=np.float32).reshape(6, 6)
    assert at_image_size(large, (2, 2)).tolist() == [[7, 10], [25, 28]]


def test_an_image_of_the_right_size_is_not_copied():
    depth = np.ones((4, 6), np.float32)
    assert at_image_size(depth, (4, 6)) is depth


@pytest.mark.parametrize("shape", [(4, 5), (8, 6), (2, 6), (0, 6), (3, 4), (6, 4)])
def test_other_sizes_are_refused(shape):
    with pytest.raises(InputError, match="expected 6x4 pixels as the image has"):
        at_image_size(np.ones(shape, np.float32), (4, 6))


@pytest.mark.parametrize(
    "depth", [np.ones((4, 6)), np.ones((4, 6, 1), np.float32), np.ones((4, 6), np.uint16), None]
)
def test_other_types_are_refused(depth):
    with pytest.raises(InputError, match="float32 metres"):
        at_image_size(depth, (4, 6))
