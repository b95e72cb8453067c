# SPDX-License-Identifier: Apache-2.0
"""Obstacles of objects: they fill their box's outline, and are larger where they are not sure."""

import math

import numpy as np
import pytest
from geometry_msgs.msg import Point, Quaternion, Vector3
from std_msgs.msg import Header
from yolact_ros.msg import Object, ObjectArray

from yolact_testing.examples import load_example

feeding = load_example("costmap_feeder.py")
obstacle_of = feeding.obstacle_of


def box(size, position=(1.0, 2.0, 0.5), turn=(0.0, 0.0, 0.0, 1.0), covariance=None):
    item = Object(class_name="box", instance=1)
    item.size = Vector3(**dict(zip("xyz", map(float, size), strict=True)))
    item.pose.pose.position = Point(**dict(zip("xyz", map(float, position), strict=True)))
    item.pose.pose.orientation = Quaternion(**dict(zip("xyzw", map(float, turn), strict=True)))
    whole = np.zeros((6, 6))
    whole[:3, :3] = np.zeros((3, 3)) if covariance is None else covariance
    item.pose.covariance = whole.reshape(-1)
    return item


def about_z(degrees):
    half = math.radians(degrees) / 2
    return (0.0, 0.0, math.sin(half), math.cos(half))


def test_points_are_on_the_surface_of_the_box():
    points = obstacle_of(box((0.4, 0.2, 0.1)), 0.05, 2.0)
    assert points.dtype == np.float32
    offsets = points - [1.0, 2.0, 0.5]
    np.testing.assert_allclose(offsets.max(axis=0), [0.2, 0.1, 0.05], atol=1e-6)
    np.testing.assert_allclose(offsets.min(axis=0), [-0.2, -0.1, -0.05], atol=1e-6)
    on_a_face = np.abs(np.abs(offsets) - [0.2, 0.1, 0.05]) < 1e-6
    assert on_a_face.any(axis=1).all()


def test_the_box_is_turned_as_the_object():
    points = obstacle_of(box((0.4, 0.2, 0.1), turn=about_z(90)), 0.05, 2.0)
    np.testing.assert_allclose(np.ptp(points, axis=0), [0.2, 0.4, 0.1], atol=1e-6)


def test_the_box_grows_along_the_axis_that_is_not_sure():
    """A standard deviation of 5 cm along x and 1 cm along y; the box's first axis is y."""
    sure = np.diag([25e-4, 1e-4, 0.0])
    item = box((0.4, 0.2, 0.1), turn=about_z(90), covariance=sure)
    points = obstacle_of(item, 0.05, 2.0)
    np.testing.assert_allclose(
        np.ptp(points, axis=0), [0.2 + 4 * 0.05, 0.4 + 4 * 0.01, 0.1], atol=1e-6
    )
    np.testing.assert_allclose(
        np.ptp(obstacle_of(item, 0.05, 0.0), axis=0), [0.2, 0.4, 0.1], atol=1e-6
    )


@pytest.mark.parametrize("degrees", [0, 17, 45, 80])
@pytest.mark.parametrize("resolution", [0.05, 0.02])
def test_no_cell_within_the_outline_is_left_free(degrees, resolution):
    """Cells of the costmap that lie within the box as a whole each have a point."""
    item = box((0.93, 0.41, 0.3), turn=about_z(degrees))
    points = obstacle_of(item, resolution, 0.0)
    marked = {tuple(cell) for cell in np.floor(points[:, :2] / resolution).astype(int).tolist()}
    angle = math.radians(degrees)
    along = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    columns, rows = (
        np.arange(math.floor(low[i] / resolution), math.ceil(high[i] / resolution) + 1)
        for i in range(2)
    )
    cells = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    corners = cells[:, None] + np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    offsets = np.abs((corners * resolution - [1.0, 2.0]) @ along.T)
    inside = (offsets <= [0.93 / 2, 0.41 / 2]).all(axis=(1, 2))
    within = {tuple(cell) for cell in cells[inside].tolist()}
    assert len(within) > 100
    assert within <= marked


def test_a_flat_or_tiny_object_still_has_points():
    assert len(obstacle_of(box((0.0, 0.0, 0.0)), 0.05, 2.0)) >= 1


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (box((0.4, math.nan, 0.1)), "not finite"),
        (box((0.4, 0.2, 0.1), position=(math.inf, 0, 0)), "not finite"),
        (box((0.4, 0.2, 0.1), covariance=np.full((3, 3), math.nan)), "not finite"),
        (box((0.4, 0.2, 0.1), turn=(0.0, 0.0, 0.0, 0.0)), "expected a unit quaternion"),
        (box((0.4, -0.2, 0.1)), "edges of 0 or more"),
        (box((30.0, 0.2, 40.0)), "its box of 30.00 x 0.20 x 40.00 m would have"),
        (box((1e5, 1e5, 1e5)), "expected 200000 at most"),
        (box((1e300, 1.0, 1.0)), "1e+06 and more"),
    ],
)
def test_what_is_no_obstacle_is_named(item, reason):
    refusal = obstacle_of(item, 0.05, 2.0)
    assert isinstance(refusal, str) and reason in refusal


def test_the_cloud_is_one_that_nav2_takes():
    """x, y and z are float32 without a gap, and an empty cloud is a cloud too."""
    message = ObjectArray(header=Header(frame_id="base_link"))
    points = np.arange(6, dtype=np.float32).reshape(2, 3)
    cloud = feeding.cloud_of(points, message)
    assert [(field.name, field.offset, field.datatype) for field in cloud.fields] == [
        ("x", 0, 7),
        ("y", 4, 7),
        ("z", 8, 7),
    ]
    assert (cloud.width, cloud.height, cloud.point_step, cloud.row_step) == (2, 1, 12, 24)
    assert cloud.header.frame_id == "base_link" and not cloud.is_bigendian
    np.testing.assert_array_equal(np.frombuffer(cloud.data, "<f4").reshape(2, 3), points)
    empty = feeding.cloud_of(points[:0], message)
    assert (empty.width, empty.height, len(empty.data)) == (0, 1, 0)
