# SPDX-License-Identifier: Apache-2.0
"""Bodies of known place and size, seen by cameras of each model, are measured as what they are."""

import math

import cv2
import numpy as np
import pytest

from yolact_ros.errors import InputError
from yolact_ros.space import Camera, objects
from yolact_ros.space.covariance import UNKNOWN_ANGLE
from yolact_testing.instances import instances_of

WIDTH, HEIGHT = 320, 240
CAMERA = Camera(WIDTH, HEIGHT, 300.0, 300.0, 159.5, 119.5)
DISTORTED = {
    "none": (),
    "plumb_bob": (-0.2, 0.05, 0.001, -0.001, 0.01),
    "rational_polynomial": (0.3, 0.05, 1e-4, 2e-4, 0.01, 0.35, 0.08, 0.003),
    "equidistant": (-0.02, 0.01, -0.003, 0.001),
}


def _camera(model="none"):
    return Camera(WIDTH, HEIGHT, 300.0, 300.0, 159.5, 119.5, model, DISTORTED[model])


def _plane(camera, normal, distance):
    """Depth of the plane normal . P = distance along each ray, infinite where none is met."""
    x, y = (rays.astype(np.float64) for rays in camera.rays)
    along = normal[0] * x + normal[1] * y + normal[2]
    with np.errstate(divide="ignore"):
        return np.where(along * distance > 0, distance / along, np.inf)


def _sphere(camera, centre, radius):
    x, y = (rays.astype(np.float64) for rays in camera.rays)
    a, b = x * x + y * y + 1, x * centre[0] + y * centre[1] + centre[2]
    root = b * b - a * (centre @ centre - radius**2)
    return np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.inf)


def _cuboid(camera, centre, rotation, size):
    """Depth at which the rays enter a box whose axes are the columns of `rotation`."""
    x, y = (rays.astype(np.float64) for rays in camera.rays)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ rotation
    origin = -centre @ rotation
    with np.errstate(divide="ignore"):
        ends = np.stack([(side * size / 2 - origin) / rays for side in (-1, 1)])
    enter, leave = ends.min(axis=0).max(axis=-1), ends.max(axis=0).min(axis=-1)
    return np.where(leave > enter, enter, np.inf)


def _seen(*depths):
    """The nearest of the depths, and where each is the nearest."""
    nearest = np.min(depths, axis=0)
    return nearest.astype(np.float32), [(depth == nearest) & (depth < 9) for depth in depths]


@pytest.mark.parametrize("model", DISTORTED)
def test_a_patch_of_a_wall_is_where_it_is(model):
    camera = _camera(model)
    x, y = camera.rays
    mask = (np.abs(2 * x - 0.1) < 0.25) & (np.abs(2 * y + 0.05) < 0.15)
    found = objects(instances_of([mask]), np.full((HEIGHT, WIDTH), 2, np.float32), camera)
    assert found.centres[0] == pytest.approx([0.1, -0.05, 2], abs=0.008)
    # between its 2nd and 98th percentile, a uniform patch has 96 % of its sides
    assert found.sizes[0] == pytest.approx([0.48, 0.288, 0], abs=0.012)
    assert found.coverages[0] == 1
    assert found.orientations[0].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("model", DISTORTED)
def test_a_ball_on_a_table_is_where_it_is(model):
    camera = _camera(model)
    centre, radius = np.array([0.05, 0.04, 0.8]), 0.06
    normal = np.array([0.0, math.cos(0.6), math.sin(0.6)])  # away from the camera, downwards
    table = _plane(camera, normal, normal @ centre + radius)
    ball = _sphere(camera, centre, radius)
    depth, [mask, _] = _seen(ball, table)
    found = objects(instances_of([mask]), depth, camera)
    assert found.centres[0, :2] == pytest.approx(centre[:2], abs=0.004)
    # 96 % of a uniform disc lie within 0.895 of its radius along an axis, and 2 % of it within a
    # radius of 0.14 and beyond 0.99, where its depth is 0.01 and 0.86 of the ball's radius
    assert found.sizes[0, :2] == pytest.approx(2 * radius * 0.895, abs=0.006)
    assert found.sizes[0, 2] == pytest.approx(radius * 0.85, abs=0.01)
    front = found.centres[0, 2] - found.sizes[0, 2] / 2
    assert front == pytest.approx(np.linalg.norm(centre) - radius, abs=0.004)


@pytest.mark.parametrize("model", DISTORTED)
@pytest.mark.parametrize("bleed", [0, 4])
@pytest.mark.parametrize("yaw", [-1.1, 0.0, 0.4])
def test_an_upright_box_has_the_edges_and_the_direction_of_its_body(model, bleed, yaw):
    camera = _camera(model)
    pitch = math.radians(40)
    up = np.array([0, -math.cos(pitch), -math.sin(pitch)])
    right, ahead = np.array([1.0, 0, 0]), np.cross(up, [1.0, 0, 0])
    first = math.cos(yaw) * right + math.sin(yaw) * ahead
    rotation = np.column_stack([first, np.cross(up, first), up])
    centre, size = np.array([-0.03, 0.05, 0.8]), np.array([0.24, 0.08, 0.1])
    box = _cuboid(camera, centre, rotation, size)
    table = _plane(camera, -up, -(up @ centre - size[2] / 2))
    depth, [mask, _] = _seen(box, table)
    points = np.stack([*(rays[mask] * depth[mask] for rays in camera.rays), depth[mask]], 1)
    low, high = np.percentile(points @ rotation, [2, 98], axis=0)
    if bleed:  # onto the table, where there is no step in depth
        mask = cv2.dilate(mask.astype(np.uint8), np.ones((2 * bleed + 1,) * 2)).astype(bool)
    found = objects(instances_of([mask]), depth, camera, up)
    assert found.centres[0] == pytest.approx(rotation @ (low + high) / 2, abs=0.006)
    assert found.sizes[0] == pytest.approx(high - low, abs=0.012)
    axes = _matrix(found.orientations[0])
    assert np.degrees(math.acos(min(1, abs(axes[:, 0] @ first)))) < 4
    assert axes[:, 2] == pytest.approx(up)
    assert up @ found.covariances[0, 3:, 3:] @ up < math.radians(10) ** 2


def _matrix(quaternion):
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_a_round_thing_seen_from_above_has_no_direction():
    ball = _sphere(CAMERA, np.array([0, 0, 0.8]), 0.08)
    depth, [mask, _] = _seen(ball, _plane(CAMERA, np.array([0, 0, 1.0]), 0.88))
    up = np.array([0, 0, -2.0])
    found = objects(instances_of([mask]), depth, CAMERA, up)
    assert found.covariances[0, 5, 5] == pytest.approx(UNKNOWN_ANGLE)
    assert _matrix(found.orientations[0]) == pytest.approx(np.diag([1, -1, -1]))


def test_without_up_nothing_is_known_of_the_orientation():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[50:90, 60:200] = True
    found = objects(instances_of([mask]), np.full((HEIGHT, WIDTH), 1, np.float32), CAMERA)
    assert found.covariances[0, 3:, 3:] == pytest.approx(UNKNOWN_ANGLE * np.eye(3))


def test_what_a_mask_shows_through_a_hole_or_before_the_object_is_not_the_object():
    x, y = (rays * np.float32(0.7) for rays in CAMERA.rays)
    ring = (np.hypot(x, y) < 0.1) & (np.hypot(x, y) > 0.07)
    stick = np.abs(x - 0.06) < 0.008
    depth = np.where(ring, np.float32(0.7), np.float32(1.0))
    depth[stick] = 0.45
    filled = np.hypot(x, y) < 0.1  # the mask takes in the hole and the stick
    found = objects(instances_of([filled]), depth, CAMERA)
    assert found.centres[0] == pytest.approx([0, 0, 0.7], abs=0.004)
    assert found.sizes[0] == pytest.approx([0.196, 0.196, 0], abs=0.008)


def _mask_of_two_depths():
    """A mask of 80 pixels at 0.7 m, 0.19 m wide, whose lower part is 0.25 m farther away."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[60:140, 100:180] = True
    depth = np.where(mask, np.float32(0.7), np.float32(3.0))
    return mask, depth


def test_the_inside_of_something_half_hidden_is_a_part_of_it():
    mask, depth = _mask_of_two_depths()
    depth[110:140, 100:180] = 0.95
    found = objects(instances_of([mask]), depth, CAMERA)
    assert found.centres[0, 2] == pytest.approx(0.825, abs=0.002)
    assert found.sizes[0, 2] == pytest.approx(0.25, abs=0.004)


@pytest.mark.parametrize("grown", [0, 3])
def test_what_goes_on_beside_an_object_is_not_its_inside(grown):
    mask, depth = _mask_of_two_depths()
    depth[110:, :] = 0.95
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((2 * grown + 1,) * 2)).astype(bool)
    found = objects(instances_of([mask]), depth, CAMERA)
    assert found.centres[0, 2] == pytest.approx(0.7, abs=0.002)
    assert found.sizes[0, 2] == pytest.approx(0, abs=0.002)


def test_what_is_seen_through_a_hole_is_not_its_inside():
    mask, depth = _mask_of_two_depths()
    depth[80:120, 120:160] = 0.95
    found = objects(instances_of([mask]), depth, CAMERA)
    assert found.centres[0, 2] == pytest.approx(0.7, abs=0.002)
    assert found.sizes[0, 2] == pytest.approx(0, abs=0.002)


@pytest.mark.parametrize("factor", [2, 3])
def test_depth_of_another_size_gives_the_same_boxes(factor):
    ball = _sphere(CAMERA, np.array([0.1, 0, 0.8]), 0.09)
    depth, [mask, _] = _seen(ball, _plane(CAMERA, np.array([0, 0, 1.0]), 1.5))
    large = np.repeat(np.repeat(depth, factor, 0), factor, 1)
    expected = objects(instances_of([mask]), depth, CAMERA)
    found = objects(instances_of([mask]), large, CAMERA)
    assert np.array_equal(found.centres, expected.centres)
    sides = {2: (HEIGHT, WIDTH), 3: (HEIGHT, WIDTH - 2)}[factor]  # 318 is a multiple of 3
    camera = Camera(sides[1], sides[0], 300.0, 300.0, 159.5, 119.5)
    small = depth[factor // 2 :: factor, factor // 2 : sides[1] : factor]
    found = objects(instances_of([mask[:, : sides[1]]]), small, camera)
    assert found.centres[0] == pytest.approx(expected.centres[0], abs=0.004)
    assert found.sizes[0] == pytest.approx(expected.sizes[0], abs=0.015)


def test_missing_depth_is_counted_and_makes_less_sure():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[60:180, 80:240] = True
    depth = np.where(mask, np.float32(1), np.float32(3))
    whole = objects(instances_of([mask]), depth, CAMERA)
    for missing in (0, np.nan, -1, 1e30, np.inf):
        depth[60:180:2] = missing
        half = objects(instances_of([mask]), depth, CAMERA)
        assert half.coverages[0] == pytest.approx(0.5, abs=0.02)
        assert half.points[0] == pytest.approx(whole.points[0] / 2, rel=0.1)
        assert (np.diag(half.covariances[0])[:3] > np.diag(whole.covariances[0])[:3]).all()


def test_where_depth_is_missing_the_mask_says_where_the_object_ends():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[60:180, 80:240] = True
    depth = np.where(mask, np.float32(1), np.float32(3))
    whole = objects(instances_of([mask]), depth, CAMERA)
    depth[:, 180:260] = 0
    part = objects(instances_of([mask]), depth, CAMERA)
    assert part.centres[0] == pytest.approx(whole.centres[0], abs=0.002)
    assert part.sizes[0] == pytest.approx(whole.sizes[0], abs=0.002)
    assert part.points[0] == pytest.approx(whole.points[0] * 100 / 160, rel=0.05)


def test_a_mask_that_ends_in_the_middle_of_a_surface_makes_less_sure():
    wall = np.ones((HEIGHT, WIDTH), np.float32)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[60:180, 80:240] = True
    apart = objects(instances_of([mask]), np.where(mask, wall, 3 * wall), CAMERA)
    within = objects(instances_of([mask]), wall, CAMERA)
    ratio = np.diag(within.covariances[0])[:3] / np.diag(apart.covariances[0])[:3]
    assert (ratio > 100).all()


def test_objects_are_numbered_as_the_instances():
    masks = np.zeros((4, HEIGHT, WIDTH), bool)
    masks[0, :30, :40] = masks[2, 100:140, 100:160] = masks[3, 200:, 250:] = True  # 1 is empty
    depth = np.full((HEIGHT, WIDTH), 1, np.float32)
    depth[:30, :40] = 0  # and 0 has no depth
    found = objects(instances_of(list(masks)), depth, CAMERA)
    assert found.instances.tolist() == [3, 4]


def test_nothing_gives_no_objects():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    assert len(objects(instances_of([mask]), depth, CAMERA)) == 0
    assert len(objects(instances_of([~mask]), np.zeros_like(depth), CAMERA, (0, -1, 0))) == 0


def test_a_camera_of_another_size_is_refused():
    camera = Camera(640, 480, 300.0, 300.0, 159.5, 119.5)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    with pytest.raises(InputError, match="calibration of 320x240 pixels as the image has, got 640"):
        objects(instances_of([mask]), np.ones((HEIGHT, WIDTH), np.float32), camera)


@pytest.mark.parametrize(
    "up", [(0, 0, 0), (0, 1), (math.nan, 0, 1), "up", (1e30, 0, 0), (0, 0, 10**400), None]
)
def test_a_direction_without_meaning_is_refused(up):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:50, :50] = True
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    if up is None:
        assert len(objects(instances_of([mask]), depth, CAMERA, up)) == 1
        return
    with pytest.raises(InputError, match="up: expected a direction of 3 finite numbers"):
        objects(instances_of([mask]), depth, CAMERA, up)


def test_as_many_pixels_are_looked_at_as_are_asked_for():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[50:150, 100:200] = True
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    found = {
        count: objects(instances_of([mask]), depth, CAMERA, samples=count)
        for count in (100, 900, 10**9)
    }
    points = {count: int(one.points[0]) for count, one in found.items()}
    assert points[100] == 10 * 10 and points[900] == 25 * 25  # every 10th and every 4th
    assert points[10**9] == 100 * 100
    edge = 100 / 300  # metres, and the box has 96 % of it
    errors = [abs(float(one.sizes[0, 0]) - 0.96 * edge) for one in found.values()]
    assert errors[0] > errors[2] and errors[2] < 2 / 300
    with pytest.raises(InputError, match="samples: expected 1 or more, got 0"):
        objects(instances_of([mask]), depth, CAMERA, samples=0)
