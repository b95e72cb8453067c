# SPDX-License-Identifier: Apache-2.0
"""What the network sees of an image, and where that is in the whole image."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.errors import InputError
from yolact_ros.recordings.images.bounds import ImageError
from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.ros.parameters.table import Settings
from yolact_ros.ros.region import WHOLE, Region
from yolact_testing.instances import instances_of

SIZE = (30, 40)
RNG = np.random.default_rng(0)


def image(order="bgr", size=SIZE):
    return ImageArray(RNG.integers(0, 256, (*size, 3), np.uint8), order)


def test_all_of_an_image_is_the_image_itself():
    whole = image()
    view = WHOLE.view(whole)
    found = instances_of([np.ones(SIZE, bool)])
    assert view.seen is whole and view.in_image(found) is found
    assert Region((0, 0, 40, 30)).view(whole).seen is whole


@given(
    x=st.integers(0, 20), y=st.integers(0, 15), width=st.integers(1, 20), height=st.integers(1, 15)
)
def test_what_is_found_in_a_region_is_where_it_is_in_the_image(x, y, width, height):
    whole = image()
    view = Region((x, y, width, height)).view(whole)
    np.testing.assert_array_equal(view.seen.pixels, whole.pixels[y : y + height, x : x + width])
    mask = RNG.random((height, width)) < 0.5
    mask[0, 0] = True
    found = view.in_image(instances_of([mask]))
    expected = np.zeros(SIZE, bool)
    expected[y : y + height, x : x + width] = mask
    np.testing.assert_array_equal(found.masks[0], expected)
    assert found.image_size == SIZE
    box = instances_of([mask]).boxes[0] + (x, y, x, y)
    np.testing.assert_array_equal(found.boxes[0], box)


@pytest.mark.parametrize("roi", [(0, 0, 0, 0), (4, 2, 30, 20)])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_ignored_pixels_are_neither_seen_nor_found(roi, order):
    ignore = np.zeros(SIZE, np.uint8)
    ignore[:, 20:] = 255
    whole = image(order)
    before = whole.pixels.copy()
    view = Region(roi, ignore).view(whole)
    x, y = view.corner
    paint = (124, 117, 104) if order == "rgb" else (104, 117, 124)
    height, width = view.seen.pixels.shape[:2]
    assert (view.seen.pixels[:, 20 - x :] == paint).all()
    inside = whole.pixels[y : y + height, x : x + 20 - x]
    np.testing.assert_array_equal(view.seen.pixels[:, : 20 - x], inside)
    np.testing.assert_array_equal(whole.pixels, before)  # which the overlay is drawn onto
    masks = np.zeros((3, height, width), bool)
    masks[0, 3:8, 18 - x : 23 - x] = True  # two of five columns are left
    masks[1, 3:8, 17 - x : 22 - x] = True  # three
    masks[2, 3:8, 2:5] = True
    found = view.in_image(instances_of(masks))
    assert found.scores.tolist() == [0.75, 0.5]
    assert found.masks[0].sum() == 15 and not found.masks[0, :, 20:].any()
    assert found.masks[1].sum() == 15


def test_a_picture_of_another_size_but_the_same_shape_fits():
    ignore = np.zeros((60, 80), np.uint8)
    ignore[:, 40:] = 255
    view = Region(ignore=ignore).view(image())
    assert (view.seen.pixels[:, 20:] == (104, 117, 124)).all()
    with pytest.raises(ImageError, match=r"of the image's 30x40 pixels.* got 80x60"):
        Region(ignore=ignore).view(image(size=(40, 30)))


@pytest.mark.parametrize("roi", [(1, 0, 40, 30), (0, 1, 40, 30), (40, 0, 1, 1), (0, 0, 1000, 1)])
def test_a_region_that_is_not_within_the_image_is_refused(roi):
    with pytest.raises(ImageError, match=r"roi: expected .* the image's 40x30 pixels, got \["):
        Region(roi).view(image())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_pictures_are_white_from_half_of_the_brightness_on(tmp_path, suffix):
    path = tmp_path / f"mask{suffix}"
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[:, 16:] = 250
    cv2.imwrite(str(path), picture)
    region = Region.of(Settings().changed({"front.ignore_mask": str(path)}), "front")
    assert region.ignore[:, :15].max() == 0 and region.ignore[:, 17:].min() == 255
    assert Region.of(Settings(), "front").ignore is None
    with pytest.raises(InputError, match=r"front\.ignore_mask: expected a picture"):
        Region.of(Settings().changed({"front.ignore_mask": "/no/such.png"}), "front")
