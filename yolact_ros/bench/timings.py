# SPDX-License-Identifier: Apache-2.0
"""Measured times and their percentiles; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt


class Timings:
    """Times of each call by stage, in memory for that many calls, allocated at once."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._count = 0
        self.stages: dict[str, npt.NDArray[np.float64]] = {}

    def add(self, milliseconds: Mapping[str, float]) -> None:
        """Add one call; the first one says which stages there are."""
        if self._count == 0:
            self.stages = {name: np.full(self._calls, np.nan) for name in milliseconds}
        for name, times in self.stages.items():
            times[self._count] = milliseconds[name]
        self._count += 1

    def stage(self, name: str) -> npt.NDArray[np.float64]:
        """Times of one stage, (calls,) in ms."""
        return self.stages[name][: self._count]

    def sums(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """Sums of some stages, (calls,) in ms; a stage that was not measured counts nothing."""
        known = [self.stage(name) for name in names if name in self.stages]
        return np.sum(known, axis=0) if known else np.zeros(self._count)


def percentiles(values: npt.NDArray[np.float64], unit: str = "_ms") -> dict[str, float]:
    """p50, p95 and p99 of one value or more, interpolated linearly between the two nearest ones.

    Of fewer than 100 values, p99 is little less than the largest one. The unit ends each key.
    """
    return {f"p{p}{unit}": float(np.percentile(values, p)) for p in (50, 95, 99)}


def ratio_of(slow: Mapping[str, float], fast: Mapping[str, float]) -> float | None:
    """How many times longer the first takes, by the medians; None if the second takes no time."""
    return slow["p50_ms"] / fast["p50_ms"] if fast["p50_ms"] > 0 else None
