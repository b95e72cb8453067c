# SPDX-License-Identifier: Apache-2.0
"""Pixels that are in two masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.space import Camera, objects
from yolact_ros.space.overlaps import part_overlaps
from yolact_ros.structures import PackedMask
from yolact_testing.instances import instances_of

SHAPE = 40, 60


def mask_of(*rectangles):
    mask = np.zeros(SHAPE, bool)
    for top, bottom, left, right in rectangles:
        mask[top:bottom, left:right] = True
    return mask


def parted(*whole):
    """Masks of the image's size, after overlaps were parted."""
    masks = [PackedMask.from_array(mask) for mask in whole]
    crops = [mask.to_array().view(np.uint8) for mask in masks]
    before = [crop.copy() for crop in crops]
    found = part_overlaps(masks, crops)
    assert all(np.array_equal(*pair) for pair in zip(crops, before, strict=True))
    images = []
    for mask, crop in zip(masks, found, strict=True):
        image = np.zeros(SHAPE, bool)
        image[mask.rectangle] = crop
        images.append(image)
    return images


@pytest.mark.parametrize("turned", [False, True])
def test_the_mask_that_reaches_over_a_neighbour_loses_what_is_the_neighbour_s(turned):
    reaching = mask_of((5, 25, 5, 35))  # 600 pixels
    neighbour = mask_of((10, 20, 30, 40))  # 100, of which 50 are in both
    given = (neighbour, reaching) if turned else (reaching, neighbour)
    found = parted(*given)
    assert np.array_equal(found[turned], reaching & ~neighbour)
    assert np.array_equal(found[not turned], neighbour)


def test_of_equal_masks_the_better_score_keeps_what_is_in_both():
    one, other = mask_of((0, 10, 0, 10)), mask_of((0, 10, 6, 16))
    assert np.array_equal(parted(one, other), [one, other & ~one])


def test_two_masks_of_one_thing_stay():
    one, other = mask_of((0, 10, 0, 10)), mask_of((0, 10, 4, 14))  # 60 of 100
    assert np.array_equal(parted(one, other), [one, other])


def test_a_mask_that_would_lose_more_than_half_stays():
    large = mask_of((0, 20, 0, 20))
    parts = [mask_of((0, 20, left, left + 5)) for left in (0, 5, 10)]
    assert np.array_equal(parted(large, *parts)[0], large)
    assert np.array_equal(parted(large, *parts[:2])[0], large & ~(parts[0] | parts[1]))


rectangle = st.tuples(
    st.integers(0, 30), st.integers(1, 10), st.integers(0, 50), st.integers(1, 10)
).map(lambda r: (r[0], r[0] + r[1], r[2], r[2] + r[3]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(rectangle, min_size=1, max_size=3), min_size=1, max_size=5))
def test_nothing_is_added_and_nothing_in_one_mask_is_lost(outlines):
    whole = [mask_of(*each) for each in outlines]
    times = np.sum(whole, axis=0)
    for mask, found in zip(whole, parted(*whole), strict=True):
        assert not (found & ~mask).any()
        assert np.array_equal(found & (times == 1), mask & (times == 1))
        assert 2 * found.sum() >= mask.sum()


def test_a_bottle_s_mask_that_takes_in_a_mug_does_not_move_its_box():
    camera = Camera(60, 40, 60.0, 60.0, 29.5, 19.5)
    bottle, mug = mask_of((5, 35, 10, 20)), mask_of((15, 35, 20, 35))
    depth = np.where(bottle | mug, np.float32(1.0), np.float32(3.0))  # they touch
    found = objects(instances_of([bottle | mask_of((20, 35, 20, 30)), mug]), depth, camera)
    apart = objects(instances_of([bottle, mug]), depth, camera)
    np.testing.assert_allclose(found.centres, apart.centres, atol=0.006)
    np.testing.assert_allclose(found.sizes, apart.sizes, atol=0.02)
