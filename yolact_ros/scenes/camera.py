# SPDX-License-Identifier: Apache-2.0
"""Pinhole camera: intrinsics and pose.

World frame: x, y on the table, z up, metres. Camera frame: x right, y down, z along the
optical axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from yolact_ros.errors import InputError


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole intrinsics in pixels. Pixel centres have integer coordinates.

    Attributes:
        width: Image width.
        height: Image height.
        fx: Focal length along x.
        fy: Focal length along y.
        cx: Column of the optical axis.
        cy: Row of the optical axis.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @property
    def matrix(self) -> np.ndarray:
        """The 3x3 camera matrix, float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def back_project(self, depth: np.ndarray) -> np.ndarray:
        """Return the points of a depth image in the camera frame.

        Args:
            depth: (height, width) depth along the optical axis in metres.

        Returns:
            (height, width, 3) points in metres; (0, 0, 0) where the depth is 0.

        Raises:
            InputError: The depth image has another size than the camera.
        """
        if depth.shape != (self.height, self.width):
            raise InputError(
                f"depth: expected shape {(self.height, self.width)}, got {depth.shape}"
            )
        x = (np.arange(self.width) - self.cx) / self.fx
        y = (np.arange(self.height) - self.cy) / self.fy
        return np.stack([depth * x[None, :], depth * y[:, None], depth], axis=-1)


@dataclass(frozen=True, eq=False)
class CameraPose:
    """Where the camera is: `rotation` (3, 3) maps world to camera axes, `eye` (3,) its centre."""

    rotation: np.ndarray
    eye: np.ndarray

    @classmethod
    def looking_at(cls, eye: np.ndarray, target: np.ndarray, roll: float) -> CameraPose:
        """A camera at `eye` whose optical axis meets `target`, turned by `roll` radians."""
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        c, s = np.cos(roll), np.sin(roll)
        return cls(np.stack([c * right + s * down, c * down - s * right, forward]), eye)

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in the camera frame."""
        return (points - self.eye) @ self.rotation.T


@dataclass(frozen=True, eq=False)
class View:
    """A camera that looks at the world's origin and sways gently.

    Attributes:
        rest: (3,) azimuth and pitch in radians and distance in metres, at rest.
        roll: Turn about the optical axis in radians.
        sway: (3, 3) amplitude, angular frequency in rad/s and phase of the motion of each.
    """

    rest: np.ndarray
    roll: float
    sway: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, distance: tuple[float, float]) -> View:
        """A view from above, at a distance between two limits in metres."""
        return cls(
            rest=np.array([rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(33, 62)),
                           rng.uniform(*distance)]),
            roll=np.deg2rad(rng.normal(0, 3)),
            sway=np.array([rng.uniform(0, (0.05, 0.03, 0.03)), rng.uniform(0.3, 0.8, 3),
                           rng.uniform(0, 6.28, 3)]),
        )  # fmt: skip

    def pose(self, time: float) -> CameraPose:
        """Return the pose at a time in seconds."""
        amplitude, rate, phase = self.sway
        azimuth, pitch, distance = self.rest + amplitude * np.sin(rate * time + phase)
        away = (-np.cos(azimuth) * np.cos(pitch), -np.sin(azimuth) * np.cos(pitch), np.sin(pitch))
        return CameraPose.looking_at(distance * np.array(away), np.zeros(3), self.roll)


def plane_homography(intrinsics: CameraIntrinsics, pose: CameraPose, height: float) -> np.ndarray:
    """Homography (3, 3) from world (x, y, 1) on the plane z = `height` to homogeneous pixels."""
    translation = pose.rotation @ (np.array([0.0, 0.0, height]) - pose.eye)
    return intrinsics.matrix @ np.column_stack(
        [pose.rotation[:, 0], pose.rotation[:, 1], translation]
    )
