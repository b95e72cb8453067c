# SPDX-License-Identifier: Apache-2.0
"""Polygons that annotation tools edit, and masks again that COCO's tools make of them."""

import cv2
import numpy as np
import pytest

from yolact_ros.datasets.polygons import mask_polygons
from yolact_ros.datasets.segmentation import decode_segmentation
from yolact_ros.structures import PackedMask


def drawn(*shapes, height=60, width=80):
    mask = np.zeros((height, width), np.uint8)
    for shape in shapes:
        shape(mask)
    return mask.astype(bool)


def rectangle(x, y, width, height):
    def draw(mask):
        mask[y : y + height, x : x + width] = 1

    return draw


def again(mask):
    polygons = mask_polygons(PackedMask.from_array(mask))
    assert all(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in polygons)
    return decode_segmentation(polygons, *mask.shape).astype(bool), polygons


@pytest.mark.parametrize(
    "mask",
    [
        drawn(rectangle(7, 9, 30, 20)),
        drawn(rectangle(79, 59, 1, 1)),
        drawn(rectangle(0, 30, 80, 1)),
        drawn(rectangle(40, 0, 1, 60)),
        drawn(rectangle(0, 0, 80, 60)),
        drawn(rectangle(2, 2, 10, 10), rectangle(50, 40, 3, 3)),
    ],
    ids=["rectangle", "one pixel", "row", "column", "all", "two parts"],
)
def test_masks_of_rectangles_come_back_the_same(mask):
    np.testing.assert_array_equal(again(mask)[0], mask)


def test_each_part_is_a_polygon_of_few_points():
    _, polygons = again(drawn(rectangle(2, 2, 10, 10), rectangle(50, 40, 3, 3)))
    assert sorted(map(len, polygons)) == [8, 8]


def test_oblique_and_round_outlines_are_off_by_half_a_pixel():
    round_one = drawn(lambda mask: cv2.circle(mask, (40, 30), 22, 1, cv2.FILLED))
    oblique = drawn(lambda mask: cv2.fillPoly(mask, [np.array([[5, 50], [70, 10], [60, 55]])], 1))
    for mask in (round_one, oblique):
        found, polygons = again(mask)
        assert (found & mask).sum() / (found | mask).sum() > 0.95
        assert sum(map(len, polygons)) < 120


def test_holes_are_filled():
    mask = drawn(rectangle(10, 10, 20, 20))
    full = mask.copy()
    mask[15:20, 15:20] = False
    np.testing.assert_array_equal(again(mask)[0], full)
