# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from yolact_ros.errors import InputError
from yolact_ros.space import Transform
from yolact_ros.space.boxes import quaternions
from yolact_ros.structures import Objects


def random_rotation(rng):
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return rotation * np.sign(np.linalg.det(rotation))


def quaternion_of(rotation):
    return quaternions(rotation.T[None])[0]


def some_objects(rng, rotations):
    count = len(rotations)
    roots = rng.normal(size=(count, 6, 6))
    return Objects(
        instances=np.arange(1, count + 1),
        centres=rng.normal(size=(count, 3)),
        sizes=rng.uniform(0.01, 1, (count, 3)),
        orientations=np.array([quaternion_of(rotation) for rotation in rotations]),
        covariances=roots @ roots.transpose(0, 2, 1),
        coverages=np.ones(count, np.float32),
        points=np.full(count, 9),
    )


@pytest.mark.parametrize("seed", range(5))
def test_corners_of_boxes_move_as_points_do(seed):
    rng = np.random.default_rng(seed)
    turn, shift = random_rotation(rng), rng.normal(size=3)
    transform = Transform.from_quaternion(quaternion_of(turn), shift)
    np.testing.assert_allclose(transform.rotation, turn, atol=1e-12)
    rotations = [random_rotation(rng) for _ in range(4)]
    objects = some_objects(rng, rotations)
    moved = transform.apply(objects)
    for i, rotation in enumerate(rotations):
        corner = objects.centres[i] + rotation @ objects.sizes[i] / 2
        other = Transform.from_quaternion(moved.orientations[i], [0, 0, 0]).rotation
        np.testing.assert_allclose(
            moved.centres[i] + other @ objects.sizes[i] / 2, turn @ corner + shift, atol=1e-12
        )
        both = np.kron(np.eye(2), turn)
        np.testing.assert_allclose(moved.covariances[i], both @ objects.covariances[i] @ both.T)
    assert (moved.orientations[:, 3] >= 0).all()
    np.testing.assert_array_equal(moved.sizes, objects.sizes)


def test_up_is_the_other_frame_s_z_axis():
    # An optical frame that looks along the other frame's x axis: z forward, y down.
    transform = Transform.from_quaternion([-0.5, 0.5, -0.5, 0.5], [0, 0, 1])
    np.testing.assert_allclose(transform.up, [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(transform.rotation @ [0, 0, 1], [1, 0, 0], atol=1e-12)


def test_no_objects_move():
    assert len(Transform.from_quaternion([0, 0, 0, 1], [1, 2, 3]).apply(Objects.none())) == 0


@pytest.mark.parametrize(
    "quaternion, translation",
    [
        ([0, 0, 0, 0], [0, 0, 0]),
        ([0, 0, 0, 1.5], [0, 0, 0]),
        ([0, 0, float("nan"), 1], [0, 0, 0]),
        ([0, 0, 0, 1], [0, float("inf"), 0]),
        ([0, 0, 1], [0, 0, 0]),
        ([0, 0, 0, 10**400], [0, 0, 0]),
        ([0, 0, 0, 1], ["far", 0, 0]),
    ],
)
def test_what_is_no_motion_is_refused(quaternion, translation):
    with pytest.raises(InputError, match=r"^transform: expected "):
        Transform.from_quaternion(quaternion, translation)
