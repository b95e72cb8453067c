# SPDX-License-Identifier: Apache-2.0
"""Camera geometry."""

import numpy as np
import pytest

from yolact_ros.scenes.camera import CameraIntrinsics, CameraPose, plane_homography

INTRINSICS = CameraIntrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)


def test_the_target_is_on_the_optical_axis() -> None:
    eye, target = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.0, 0.1])
    pose = CameraPose.looking_at(eye, target, roll=0.3)
    np.testing.assert_allclose(
        pose.to_camera(target), [0, 0, np.linalg.norm(target - eye)], atol=1e-12
    )
    assert np.linalg.det(pose.rotation) == pytest.approx(1)


def test_up_is_up_without_roll() -> None:
    pose = CameraPose.looking_at(np.array([0.0, -1.0, 1.0]), np.zeros(3), roll=0.0)
    x, y, _ = pose.to_camera(np.array([0.1, 0.0, 0.1]))
    assert x > 0 > y  # to the right, and above the middle: rows grow downwards


def test_homography_agrees_with_projection() -> None:
    pose = CameraPose.looking_at(np.array([0.3, -1.0, 0.8]), np.zeros(3), roll=0.1)
    point = np.array([0.2, 0.15, -0.4])
    camera = pose.to_camera(point)
    expected = INTRINSICS.matrix @ camera / camera[2]
    pixel = plane_homography(INTRINSICS, pose, -0.4) @ [0.2, 0.15, 1.0]
    np.testing.assert_allclose(pixel / pixel[2], expected)


def test_back_projection_inverts_projection() -> None:
    depth = np.zeros((480, 640))
    depth[100, 200] = 1.5
    points = INTRINSICS.back_project(depth)
    np.testing.assert_allclose(INTRINSICS.matrix @ points[100, 200] / 1.5, [200, 100, 1])
    assert not points[0, 0].any()


def test_back_projection_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"depth: expected shape \(480, 640\), got \(2, 2\)"):
        INTRINSICS.back_project(np.zeros((2, 2)))
