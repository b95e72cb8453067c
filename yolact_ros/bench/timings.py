# SPDX-License-Identifier: Apache-2.0
"""Measured times and what they amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

PERCENTILES = (50, 95, 99)


class Samples:
    """Times of each frame by row, in memory that is taken at once and never grows.

    Args:
        frames: How many will be added.
    """

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._rows: dict[str, npt.NDArray[np.float64]] = {}
        self._count = 0

    def add(self, milliseconds: Mapping[str, float]) -> None:
        """Adds one frame; the first one says which rows there are."""
        if self._count == 0:
            self._rows = {name: np.full(self._frames, np.nan) for name in milliseconds}
        for name, row in self._rows.items():
            row[self._count] = milliseconds[name]
        self._count += 1

    def row(self, name: str) -> npt.NDArray[np.float64]:
        """The times of one row."""
        return self._rows[name][: self._count]

    def names(self) -> tuple[str, ...]:
        """Of the rows, as they were first given."""
        return tuple(self._rows)

    def sums(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """Of some rows, frame by frame; names without a row count nothing."""
        total = np.zeros(self._count)
        for name in names:
            if name in self._rows:
                total += self.row(name)
        return total


def percentiles(milliseconds: npt.NDArray[np.float64]) -> dict[str, float]:
    """p50_ms, p95_ms and p99_ms, interpolated linearly between the two nearest times.

    The p-th percentile of n sorted times lies at index (n - 1) * p / 100: the median of 1, 2, 3, 4
    is 2.5. Of fewer than 100 frames, p99 is little more than the slowest one.
    """
    return {f"p{p}_ms": float(np.percentile(milliseconds, p)) for p in PERCENTILES}


def ratio_of(slow: Mapping[str, float], fast: Mapping[str, float]) -> float | None:
    """How many times longer the first takes, by the medians; None if the second takes no time."""
    return slow["p50_ms"] / fast["p50_ms"] if fast["p50_ms"] > 0 else None
