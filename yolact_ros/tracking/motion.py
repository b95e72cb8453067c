# SPDX-License-Identifier: Apache-2.0
"""A Kalman filter of many things at once, each coordinate on its own.

The model is white-noise acceleration in continuous time, so that any time may lie between two
measurements: Y. Bar-Shalom, X. R. Li, T. Kirubarajan, "Estimation with Applications to Tracking and
Navigation" (2001), sections 5.2 and 6.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(eq=False)
class Motion:
    """Positions and velocities of T things along A axes, with their covariance; all (T, A).

    Attributes:
        position: Expected positions.
        velocity: Expected velocities.
        position_variance: Variances of the positions.
        covariance: Covariances of position and velocity along the same axis.
        velocity_variance: Variances of the velocities.
    """

    position: Array
    velocity: Array
    position_variance: Array
    covariance: Array
    velocity_variance: Array

    @classmethod
    def at(cls, position: Array, position_variance: Array, velocity_variance: Array) -> Motion:
        """Things (T, A) that were measured once, and of whose velocity only the spread is known."""
        shape = position.shape
        return cls(
            position.copy(),
            np.zeros(shape),
            np.broadcast_to(position_variance, shape).copy(),
            np.zeros(shape),
            np.broadcast_to(velocity_variance, shape).copy(),
        )

    def predict(self, seconds: float, acceleration: Array) -> None:
        """Let time pass.

        Args:
            seconds: How much, 0 or more.
            acceleration: Power spectral density of the acceleration, broadcast to (T, A), in
                squared units of length per second cubed.
        """
        self.position += seconds * self.velocity
        self.position_variance += (
            2 * seconds * self.covariance
            + seconds**2 * self.velocity_variance
            + seconds**3 / 3 * acceleration
        )
        self.covariance += seconds * self.velocity_variance + seconds**2 / 2 * acceleration
        self.velocity_variance += seconds * acceleration

    def correct(self, rows: npt.NDArray[np.int64], measured: Array, variance: Array) -> None:
        """Take measurements of some things into account.

        Args:
            rows: (K,) which things, none twice.
            measured: (K, A) positions.
            variance: Their variances, more than 0, broadcast to (K, A).
        """
        total = self.position_variance[rows] + variance
        innovation = (measured - self.position[rows]) / total
        covariance = self.covariance[rows]
        self.position[rows] += self.position_variance[rows] * innovation
        self.velocity[rows] += covariance * innovation
        self.velocity_variance[rows] -= covariance**2 / total
        self.covariance[rows] *= variance / total
        self.position_variance[rows] *= variance / total

    def __getitem__(self, kept: npt.NDArray[np.bool_]) -> Motion:
        """Some of the things."""
        return Motion(*(getattr(self, field.name)[kept] for field in fields(self)))

    def __setitem__(self, rows: npt.NDArray[np.int64], other: Motion) -> None:
        """Replace some of the things."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)

    def __add__(self, other: Motion) -> Motion:
        """These things, then those."""
        return Motion(
            *(
                np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in fields(self)
            )
        )
