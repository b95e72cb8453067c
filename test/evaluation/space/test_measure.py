# SPDX-License-Identifier: Apache-2.0
"""Errors of walls and of rectangles before them, which a hand can compute."""

import math

import numpy as np
import pytest

from yolact_ros.evaluation.space.measure import Masks, measure_frame
from yolact_ros.scenes.camera import CameraIntrinsics, CameraPose
from yolact_ros.scenes.scene import SceneFrame, SceneObject
from yolact_testing.instances import instances_of

HEIGHT, WIDTH = 120, 160
UP_IS_MINUS_Y = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # world to camera: looks level


def _thing(number, mask):
    state = None  # not read
    return SceneObject(
        identity=number,
        class_id=0,
        class_name=f"thing {number}",
        box=np.zeros(4, np.float32),
        area=int(mask.sum()),
        visible_fraction=1.0,
        center=np.zeros(3, np.float32),
        size=np.zeros(3, np.float32),
        in_camera=state,
        in_world=state,
    )


def _frame(masks, depth):
    """Things before a wall at 3 m, and what is true of them."""
    instance_map = np.zeros((HEIGHT, WIDTH), np.uint16)
    true_depth = np.full((HEIGHT, WIDTH), 3, np.float32)
    for number, mask in enumerate(masks, start=1):
        instance_map[mask] = number
        true_depth[mask] = depth
    return SceneFrame(
        image=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        depth=true_depth,
        true_depth=true_depth,
        instance_map=instance_map,
        objects=tuple(_thing(k, instance_map == k) for k in range(1, len(masks) + 1)),
        intrinsics=CameraIntrinsics(WIDTH, HEIGHT, 100.0, 100.0, 79.5, 59.5),
        camera=CameraPose(UP_IS_MINUS_Y, np.zeros(3)),
    )


def _mask(rows, columns):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


LEFT, RIGHT = _mask((20, 60), (10, 70)), _mask((30, 80), (90, 150))


def test_an_instance_shows_what_it_overlaps_most_and_the_better_score_comes_first():
    frame = _frame([LEFT, RIGHT], 1.0)
    better, worse = _mask((20, 60), (10, 55)), LEFT  # 45 and 60 of 60 columns
    small = _mask((30, 54), (90, 150))  # 24 of 50 rows
    masks = Masks.found(frame, instances_of([better, worse, small]))
    assert masks.shown == {0: (0, pytest.approx(0.75))}
    enough = _mask((30, 55), (90, 150))
    masks = Masks.found(frame, instances_of([better, worse, enough]))
    assert masks.shown == {0: (0, pytest.approx(0.75)), 1: (2, pytest.approx(0.5))}


def test_nothing_is_shown_without_things_or_without_pixels():
    assert Masks.found(_frame([], 1.0), instances_of([LEFT])).shown == {}
    assert Masks.found(_frame([LEFT], 1.0), instances_of([LEFT & ~LEFT])).shown == {}


def test_given_masks_keep_their_things_however_little_they_overlap():
    masks = Masks.given(_frame([LEFT, RIGHT], 1.0), {1: _mask((30, 40), (90, 150))})
    assert masks.shown == {1: (0, pytest.approx(0.2))}


def _measured(frame, masks):
    measured = measure_frame(frame, {"some": masks}, "ideal", scenes="walls", seed=3)
    return {one.kind: one for one in measured}


def test_of_a_true_mask_without_noise_little_is_wrong():
    frame = _frame([LEFT, RIGHT], 2.0)
    found = _measured(frame, Masks.true(frame))
    assert list(found) == ["thing 1", "thing 2"]
    one = found["thing 1"]
    assert (one.scenes, one.seed, one.masks, one.sensor) == ("walls", 3, "some", "ideal")
    assert (one.distance, one.visible, one.iou) == (2.0, 1.0, 1.0)
    assert one.errors.coverage == 1
    # every other pixel is looked at: half a pixel of 2 cm along both axes
    assert one.errors.aligned.centre < 0.015 and one.errors.naive < 1e-6
    # 60 columns with 1.7 % of the points each, 40 rows with 2.5 %: the box begins 2 % within
    # them, that is in the second column and in the first row
    assert one.errors.aligned.true_sizes == pytest.approx([0.02 * 57, 0.02 * 39, 0])
    # horizontally 1.2 m wide and flat: along the x axis
    assert one.errors.yaw.error < math.radians(1) and one.errors.yaw.known
    assert one.errors.upright.centre < 0.015


def test_an_error_is_the_distance_between_the_centres():
    frame = _frame([LEFT], 2.0)
    half = _mask((20, 60), (10, 50))  # 20 columns less: the middle moves by 10 pixels of 2 cm
    errors = _measured(frame, Masks.given(frame, {0: half}))["thing 1"].errors
    assert errors.aligned.centre == pytest.approx(0.2, abs=0.02)
    assert errors.aligned.sizes[0] == pytest.approx(0.4 * 0.96, abs=0.03)
    assert errors.aligned.sizes[1:] == pytest.approx([0, 0], abs=0.02)
    assert errors.naive == pytest.approx(0.2, abs=1e-3)
    assert errors.aligned.deviation > 0
    # an error along x alone, and no covariance of x with y and z
    assert errors.aligned.square >= (0.18 / errors.aligned.deviation) ** 2


def test_the_naive_way_is_a_masks_centroid_at_its_median_depth():
    frame = _frame([LEFT], 2.0)
    # 40 rows of the thing and, below, 39 rows of the wall: the median is the thing's
    mask = _mask((20, 99), (10, 70))
    errors = _measured(frame, Masks.given(frame, {0: mask}))["thing 1"].errors
    assert errors.naive == pytest.approx(19.5 * 0.02, abs=1e-3)
    assert errors.aligned.centre < 0.02


def test_what_no_mask_shows_and_what_has_no_depth_has_no_errors():
    frame = _frame([LEFT, RIGHT], 2.0)
    found = _measured(frame, Masks.given(frame, {0: LEFT}))
    assert found["thing 2"].errors is None and found["thing 2"].iou == 0
    [empty] = measure_frame(
        _frame([LEFT], 250.0), {"some": Masks.true(_frame([LEFT], 250.0))}, "ideal", scenes="walls",
        seed=3,
    )  # fmt: skip
    assert empty.errors is None and empty.iou == 1  # nothing is believed beyond 200 m


def test_small_things_are_not_measured():
    least = 400 / (640 * 480) * HEIGHT * WIDTH  # 25 pixels
    large, small = _mask((10, 15), (10, 15)), _mask((50, 54), (50, 56))
    assert small.sum() < least <= large.sum()
    frame = _frame([large, small], 1.0)
    assert list(_measured(frame, Masks.true(frame))) == ["thing 1"]
