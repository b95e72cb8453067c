# SPDX-License-Identifier: Apache-2.0
"""Objects from the frame of the camera into another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.space.boxes import quaternions
from yolact_ros.structures import Objects

_LARGEST_ERROR = 1e-2  # of a quaternion's length


@dataclass(frozen=True, eq=False)
class Transform:
    """A rigid motion: where a point of the camera's frame is in another one.

    Attributes:
        rotation: (3, 3) float64, the camera's axes as columns.
        translation: (3,) float64 metres, the camera's origin.
    """

    rotation: npt.NDArray[np.float64]
    translation: npt.NDArray[np.float64]

    @classmethod
    def from_quaternion(
        cls, quaternion: Sequence[float], translation: Sequence[float]
    ) -> Transform:
        """Make one from a unit quaternion x, y, z, w and a translation in metres.

        >>> Transform.from_quaternion([0, 0, 1, 0], [1, 2, 3]).rotation.tolist()
        [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]

        Raises:
            InputError: A number is not finite, or the quaternion's length is not 1.
        """
        try:
            q, t = np.array(quaternion, np.float64), np.array(translation, np.float64)
        except (TypeError, ValueError, OverflowError):
            got = f"{quaternion!r} and {translation!r}"
            raise InputError(f"transform: expected 4 and 3 numbers, got {got}") from None
        length = float(np.linalg.norm(q))
        if q.shape != (4,) or t.shape != (3,) or not abs(length - 1) < _LARGEST_ERROR:
            raise InputError(f"transform: expected a unit quaternion, got {quaternion!r}")
        if not np.isfinite(t).all():
            raise InputError(f"transform: expected a finite translation, got {translation!r}")
        x, y, z, w = q / length
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        return cls(rotation, t)

    @property
    def up(self) -> npt.NDArray[np.float64]:
        """(3,) the other frame's z axis in the frame of the camera."""
        return self.rotation[2]

    def apply(self, objects: Objects) -> Objects:
        """Return the objects in the other frame; their covariances do not know the motion's own."""
        if not len(objects):
            return objects
        turn = np.zeros((6, 6))
        turn[:3, :3] = turn[3:, 3:] = self.rotation
        [own] = quaternions(self.rotation.T[None])
        return replace(
            objects,
            centres=objects.centres @ self.rotation.T + self.translation,
            orientations=_products(own, objects.orientations),
            covariances=turn @ objects.covariances @ turn.T,
        )


def _products(
    left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The quaternion `left` (4,) times each of `right` (N, 4), normalised, w >= 0."""
    a, b = left[:3], right[:, :3]
    w, v = left[3], right[:, 3:]
    products = np.empty_like(right)
    products[:, :3] = w * b + v * a + np.cross(a, b)
    products[:, 3:] = w * v - (b @ a)[:, None]
    products /= np.linalg.norm(products, axis=1, keepdims=True)
    return np.where(products[:, 3:] < 0, -products, products)
