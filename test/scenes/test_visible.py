# SPDX-License-Identifier: Apache-2.0
"""Boxes of visible surfaces are what one computes by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.scenes.layout import rotation_about
from yolact_ros.scenes.visible import visible_surface

UP = np.array([0.0, -1.0, 0.0])  # of a camera that looks straight ahead
EDGE = np.linspace(-1, 1, 101)  # whose 2nd and 98th percentiles are -0.96 and 0.96


def plate(length: float, width: float) -> np.ndarray:
    """Points (N, 3) of a horizontal plate along x and z, with its middle in the origin."""
    x, z = np.meshgrid(0.5 * length * EDGE, 0.5 * width * EDGE)
    return np.column_stack([x.ravel(), np.zeros(x.size), z.ravel()])


def test_a_wall_that_faces_the_camera():
    x, y = np.meshgrid(0.3 + 0.2 * EDGE, -0.1 + 0.1 * EDGE)
    surface = visible_surface(np.column_stack([x.ravel(), y.ravel(), np.full(x.size, 2.0)]), UP)
    assert surface.points == 101 * 101
    np.testing.assert_allclose(surface.aligned.center, [0.3, -0.1, 2.0])
    np.testing.assert_allclose(surface.aligned.size, [0.384, 0.192, 0.0], atol=1e-12)
    np.testing.assert_array_equal(surface.aligned.rotation, np.eye(3))
    np.testing.assert_allclose(surface.oriented.center, [0.3, -0.1, 2.0])
    np.testing.assert_allclose(surface.oriented.size, [0.384, 0.0, 0.192], atol=1e-12)
    # to the right, away from the camera, up
    np.testing.assert_allclose(
        surface.oriented.rotation.T, [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12
    )


@pytest.mark.parametrize("degrees", [-80.0, -30.0, 0.0, 30.0, 89.0])
def test_a_plate_turned_about_the_vertical(degrees):
    turn = rotation_about(UP, np.deg2rad(degrees))
    surface = visible_surface(plate(0.3, 0.1) @ turn.T + [0.1, 0.2, 1.5], UP)
    np.testing.assert_allclose(surface.oriented.center, [0.1, 0.2, 1.5], atol=1e-9)
    np.testing.assert_allclose(surface.oriented.size, [0.288, 0.096, 0.0], atol=1e-9)
    np.testing.assert_allclose(surface.oriented.rotation[:, 0], turn[:, 0], atol=1e-9)
    np.testing.assert_allclose(surface.oriented.rotation[:, 2], UP, atol=1e-12)


def test_what_lies_beyond_the_percentiles_changes_nothing():
    points = np.column_stack([np.linspace(0, 1, 1001), np.zeros(1001), np.ones(1001)])
    expected = visible_surface(points, UP).aligned
    points[:10, 1] = -5.0  # 1 % of them
    points[-10:, 2] = 9.0
    aligned = visible_surface(points, UP).aligned
    np.testing.assert_allclose(aligned.center, expected.center, atol=1e-12)
    np.testing.assert_allclose(aligned.size, [0.96, 0, 0], atol=1e-12)


def test_a_single_point_has_boxes_without_size():
    surface = visible_surface(np.array([[0.1, 0.2, 0.7]]), UP)
    for box in (surface.aligned, surface.oriented):
        np.testing.assert_allclose(box.center, [0.1, 0.2, 0.7])
        np.testing.assert_allclose(box.size, 0, atol=1e-15)
        np.testing.assert_allclose(box.rotation @ box.rotation.T, np.eye(3), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(2, 400),
    angle=st.floats(-3.1, 3.1),
    tilt=st.floats(-3.1, 3.1),
)
def test_boxes_move_with_their_points(seed, count, angle, tilt):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3)) * [0.2, 0.05, 0.02] + [0, 0, 1]
    up = rotation_about(np.array([1.0, 0.0, 0.0]), tilt) @ UP
    first = visible_surface(points, up)
    for box in (first.aligned, first.oriented):
        inside = np.abs((points - box.center) @ box.rotation) <= 0.5 * box.size + 1e-12
        share = inside.mean(axis=0)
        assert (np.abs(share - 0.96) <= 2 / count + 1e-12).all()
        assert np.linalg.det(box.rotation) == pytest.approx(1)
    shift, turn = rng.normal(size=3), rotation_about(up, angle)
    second = visible_surface(points @ turn.T + shift, up)
    np.testing.assert_allclose(second.oriented.size, first.oriented.size, atol=1e-7)
    np.testing.assert_allclose(
        second.oriented.center, turn @ first.oriented.center + shift, atol=1e-7
    )
    moved = visible_surface(points + shift, up)
    np.testing.assert_allclose(moved.aligned.size, first.aligned.size, atol=1e-9)
    np.testing.assert_allclose(moved.aligned.center, first.aligned.center + shift, atol=1e-9)
