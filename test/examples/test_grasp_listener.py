# SPDX-License-Identifier: Apache-2.0
"""Grasps of boxes, against numbers computed by hand."""

import math

import numpy as np
import pytest
from geometry_msgs.msg import Point, Quaternion, Vector3
from std_msgs.msg import Header
from yolact_ros.msg import Object, ObjectArray

from yolact_testing.examples import load_example

grasping = load_example("grasp_listener.py")
Limits, grasp_of, best_grasp = grasping.Limits, grasping.grasp_of, grasping.best_grasp

H = math.sqrt(0.5)
EXACT = Limits(clearance=0.0, deviations=0.0, max_width=1.0)
"""Nothing is left free beside the object."""

UPRIGHT = (H, 0.0, 0.0, H)
"""A camera that looks along the ground: x stays, y of the box is forward (z), its z is up (-y)."""


def box(size, position=(0.0, 0.0, 0.5), turn=(0.0, 0.0, 0.0, 1.0), variances=(1e-6,) * 3, **fields):
    """A sure object with a good score, a box of some edges."""
    item = Object(
        **{
            "instance": 1,
            "class_name": "box",
            "score": 0.9,
            "depth_coverage": 0.95,
            "points": 500,
            **fields,
        },
        size=Vector3(**dict(zip("xyz", map(float, size), strict=True))),
    )
    item.pose.pose.position = Point(**dict(zip("xyz", map(float, position), strict=True)))
    item.pose.pose.orientation = Quaternion(**dict(zip("xyzw", map(float, turn), strict=True)))
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = np.diag(variances)
    item.pose.covariance = covariance.reshape(-1)
    return item


def closing_and_approach(grasp):
    """y and z of the gripper, in the frame of the objects."""
    axes = grasping.axes_of(grasp.orientation)
    assert np.linalg.det(axes) == pytest.approx(1)
    return axes[1], axes[2]


@pytest.mark.parametrize(
    ("size", "closing"), [((0.04, 0.09, 0.1), (1, 0, 0)), ((0.09, 0.04, 0.1), (0, 1, 0))]
)
def test_along_the_camera_the_fingers_close_across_the_shorter_edge(size, closing):
    """Straight ahead nothing is hidden beside the seen surface."""
    grasp = grasp_of(box(size), EXACT)
    y, z = closing_and_approach(grasp)
    np.testing.assert_allclose(np.abs(y), closing, atol=1e-12)
    np.testing.assert_allclose(z, [0, 0, 1], atol=1e-12)
    np.testing.assert_array_equal(grasp.position, [0, 0, 0.5])
    assert grasp.width == pytest.approx(1.12 * 0.04)
    assert grasp.score == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("size", "closing"), [((0.04, 0.09, 0.1), (1, 0, 0)), ((0.09, 0.04, 0.1), (0, 0, 1))]
)
def test_from_above_the_fingers_come_down(size, closing):
    """The camera is straight above; the box's axes in its frame are x, z (forward) and -y (up)."""
    limits = Limits(
        clearance=0.0, deviations=0.0, max_width=1.0, from_above=True, camera=(0.0, -1.0, 0.5)
    )
    grasp = grasp_of(box(size, turn=UPRIGHT), limits)
    y, z = closing_and_approach(grasp)
    np.testing.assert_allclose(np.abs(y), closing, atol=1e-12)
    np.testing.assert_allclose(z, [0, 1, 0], atol=1e-12)  # down
    assert grasp.width == pytest.approx(1.12 * 0.04)


def test_what_is_hidden_behind_the_seen_surface_needs_room():
    """Seen 45 degrees from above, 60 mm across the line of sight and 30 mm along it, as of a bottle
    of which the camera sees the front half: the fingers close across the line of sight."""
    limits = Limits(
        clearance=0.0, deviations=0.0, max_width=1.0, from_above=True, camera=(0.0, -0.5, 0.0)
    )
    tall = box((0.06, 0.03, 0.2), turn=UPRIGHT)
    grasp = grasp_of(tall, limits)
    np.testing.assert_allclose(np.abs(closing_and_approach(grasp)[0]), [1, 0, 0], atol=1e-12)
    assert grasp.width == pytest.approx(1.12 * 0.06)
    # No more is hidden than the shadow has: 5 mm behind a thing that is 10 mm high, half way down.
    flat = grasp_of(box((0.06, 0.03, 0.01), turn=UPRIGHT), limits)
    np.testing.assert_allclose(np.abs(closing_and_approach(flat)[0]), [0, 0, 1], atol=1e-12)
    assert flat.width == pytest.approx(1.12 * 0.03 + 2 * 0.005)
    # From straight above there is no shadow.
    above = Limits(
        clearance=0.0, deviations=0.0, max_width=1.0, from_above=True, camera=(0.0, -1.0, 0.5)
    )
    assert grasp_of(tall, above).width == pytest.approx(1.12 * 0.03)


def test_what_is_as_deep_as_it_is_wide_has_nothing_behind_it():
    """A post seen from its corner, 45 degrees from above: its shadow is long on both axes."""
    limits = Limits(
        clearance=0.0, deviations=0.0, max_width=1.0, from_above=True, camera=(-0.5, -H, 0.0)
    )
    grasp = grasp_of(box((0.04, 0.04, 0.2), turn=UPRIGHT), limits)
    assert grasp.width == pytest.approx(1.12 * 0.04)


def test_what_is_not_sure_needs_room():
    """Edges of 40 mm; standard deviations of 3 mm along x and 1 mm along y."""
    limits = Limits(clearance=0.005, deviations=2.0)
    grasp = grasp_of(box((0.04, 0.04, 0.1), variances=(9e-6, 1e-6, 1e-6)), limits)
    np.testing.assert_allclose(np.abs(closing_and_approach(grasp)[0]), [0, 1, 0], atol=1e-12)
    assert grasp.width == pytest.approx(1.12 * 0.04 + 2 * (0.005 + 2 * 0.001))


def test_the_axes_of_the_gripper_follow_the_box():
    """Turned by 30 degrees about the line of sight, with the shorter edge along its second axis."""
    angle = math.radians(30)
    turn = (0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))
    y, z = closing_and_approach(grasp_of(box((0.09, 0.04, 0.1), turn=turn), EXACT))
    np.testing.assert_allclose(y * np.sign(y[1]), [-0.5, math.sqrt(3) / 2, 0], atol=1e-12)
    np.testing.assert_allclose(z, [0, 0, 1], atol=1e-12)
    # The variance that counts is that along the fingers' way, not that of x or y.
    item = box((0.09, 0.04, 0.1), turn=turn)
    along = np.outer([-0.5, math.sqrt(3) / 2, 0], [-0.5, math.sqrt(3) / 2, 0])
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = 25e-6 * along
    item.pose.covariance = covariance.reshape(-1)
    assert "5.0 mm, expected 4.0 mm or less" in grasp_of(item, Limits())
    covariance[:3, :3] = 25e-6 * (np.diag([1.0, 1.0, 0.0]) - along)
    item.pose.covariance = covariance.reshape(-1)
    assert grasp_of(item, Limits()).width == pytest.approx(1.12 * 0.04 + 0.01)


SMALL = (0.04, 0.09, 0.1)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (box(SMALL, depth_coverage=0.59), "only 59% of its mask has depth, expected 60% or more"),
        (box(SMALL, points=99), "made of 99 points, expected 100 or more"),
        (box(SMALL, variances=(1e-6, 1e-6, 121e-6)), "11.0 mm, expected 10.0 mm or less"),
        (
            box(SMALL, variances=(25e-6, 1e-6, 1e-6)),
            "where the fingers close is 5.0 mm, expected 4.0 mm or less",
        ),
        (box((0.08, 0.09, 0.1)), "it needs an opening of 104 mm, the gripper has 85 mm"),
        (box(SMALL, position=(0.0, 0.0, -0.5)), "lead towards the camera"),
        (box(SMALL, position=(math.nan, 0.0, 0.5)), "not finite"),
        (box(SMALL, turn=(0.0, 0.0, 0.0, math.inf)), "not finite"),
        (box((0.04, math.nan, 0.1)), "not finite"),
        (box(SMALL, variances=(1e-6, math.inf, 1e-6)), "not finite"),
        (box(SMALL, variances=(1e-6, 1e308, 1e-6)), "1e+06 and more"),
        (box(SMALL, depth_coverage=math.nan), "not finite"),
        (box(SMALL, score=math.nan), "not finite"),
        (box(SMALL, turn=(0.0, 0.0, 0.0, 0.0)), "expected a unit quaternion"),
        (box((0.04, 0.0, 0.1)), "edges above 0"),
        (box(SMALL, variances=(-1e-6, 1e-6, 1e-6)), "without negative variances"),
    ],
)
def test_poor_objects_are_refused(item, reason):
    assert isinstance(grasp_of(box(SMALL), Limits()), grasping.Grasp)
    refusal = grasp_of(item, Limits())
    assert isinstance(refusal, str) and reason in refusal


@pytest.mark.parametrize(
    "item",
    [
        box(SMALL, depth_coverage=0.61),
        box(SMALL, points=100),
        box(SMALL, variances=(1e-6, 1e-6, 81e-6)),
        box(SMALL, variances=(9e-6, 1e-6, 1e-6)),
        box((0.06, 0.09, 0.1)),
    ],
)
def test_objects_within_the_limits_are_not(item):
    assert isinstance(grasp_of(item, Limits()), grasping.Grasp)


def test_from_above_needs_upright_boxes():
    """Boxes along the camera's axes have their third axis forward: the fingers would come back."""
    assert "set `from_above`" in grasp_of(box(SMALL), Limits(from_above=True))
    seen_from_above = box(SMALL, position=(0.0, 0.5, 0.5), turn=UPRIGHT)
    assert "set `from_above`" in grasp_of(seen_from_above, Limits())


def array_of(*items, seconds=100):
    message = ObjectArray(header=Header(frame_id="camera"), objects=items)
    message.header.stamp.sec = seconds
    return message


def test_the_best_score_that_is_not_refused():
    message = array_of(
        box(SMALL, instance=1, class_name="mug", score=0.99, depth_coverage=0.1),
        box(SMALL, instance=2, class_name="can", score=0.98),
        box(SMALL, instance=3, class_name="mug", score=0.6),
        box(SMALL, instance=4, class_name="mug", score=0.8),
    )
    grasp, refusals = best_grasp(message, "mug", Limits(), 100.2)
    assert grasp.score == pytest.approx(0.8)
    [refusal] = refusals
    assert refusal.startswith("mug 1: only 10% of its mask has depth")
    assert best_grasp(message, "", Limits(), 100.2)[0].score == pytest.approx(0.98)
    assert best_grasp(message, "bowl", Limits(), 100.2) == (None, ["no bowl among 4 objects"])
    assert best_grasp(array_of(), "", Limits(), 100.2) == (None, ["no object among 0 objects"])


def test_a_stamp_before_all_time_is_refused():
    grasp, [refusal] = best_grasp(array_of(box(SMALL), seconds=-5), "box", Limits(), 100.0)
    assert grasp is None and "are 105.00 s old" in refusal


@pytest.mark.parametrize("now", [100.6, 99.4])
def test_objects_of_another_time_are_refused(now):
    message = array_of(box(SMALL))
    assert best_grasp(message, "box", Limits(), 100.4)[0] is not None
    grasp, [refusal] = best_grasp(message, "box", Limits(), now)
    assert grasp is None and "s old, expected 0.5 s at most" in refusal
