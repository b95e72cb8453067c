# SPDX-License-Identifier: Apache-2.0
"""Ways that bodies go: from point to point, as a hand moves them, with pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_PEAK = 1.875  # greatest over mean speed of a movement of minimum jerk


@dataclass(frozen=True, eq=False)
class Path:
    """A closed way, gone over and over again.

    Attributes:
        times: (N,) seconds at which the points are reached, rising; the first is 0, the last is the
            period.
        points: (N, 3) metres, relative to where the body is at rest; the last is the first.
        start: Seconds of it that are over at the time 0.
    """

    times: np.ndarray
    points: np.ndarray
    start: float

    @classmethod
    def through(cls, stops: Sequence[tuple[np.ndarray, float]], start: float = 0.0) -> Path:
        """Go through points in turn, and from the last to the first.

        Args:
            stops: Points (3,), and the seconds until each is reached from the one before, more
                than 0. A point that is the one before is a pause.
            start: Share of the period that is over at the time 0, 0 to 1.
        """
        points = np.array([point for point, _ in (stops[-1], *stops)])
        times = np.concatenate([[0.0], np.cumsum([seconds for _, seconds in stops])])
        return cls(times, points, start * times[-1])

    def at(self, time: float) -> np.ndarray:
        """The point (3,) at a time in seconds.

        From point to point it goes straight and with minimum jerk, s(u) = 10 u^3 - 15 u^4 + 6 u^5:
        T. Flash and N. Hogan, "The coordination of arm movements", J. Neurosci. 5 (1985).
        """
        now = (time + self.start) % self.times[-1]
        leg = int(np.searchsorted(self.times, now, side="right")) - 1
        begin, end = self.times[leg], self.times[leg + 1]
        u = (now - begin) / (end - begin)
        share = u * u * u * (10 + u * (6 * u - 15))
        return self.points[leg] + share * (self.points[leg + 1] - self.points[leg])


def seconds_between(one: np.ndarray, other: np.ndarray, speed: float) -> float:
    """How long to go from one point (3,) to another takes if the greatest speed is this, in m/s."""
    return float(_PEAK * np.linalg.norm(other - one) / speed)
