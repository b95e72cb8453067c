# SPDX-License-Identifier: Apache-2.0
"""Measured times and their percentiles; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt


class Timings:
    """Times of each call by stage, in memory that is allocated at once and never grows.

    Args:
        calls: How many will be added.
    """

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._stages: dict[str, npt.NDArray[np.float64]] = {}
        self._count = 0

    def add(self, milliseconds: Mapping[str, float]) -> None:
        """Add one call; the first one says which stages there are."""
        if self._count == 0:
            self._stages = {name: np.full(self._calls, np.nan) for name in milliseconds}
        for name, times in self._stages.items():
            times[self._count] = milliseconds[name]
        self._count += 1

    def stage(self, name: str) -> npt.NDArray[np.float64]:
        """Times of one stage, (calls,) in ms."""
        return self._stages[name][: self._count]

    def names(self) -> tuple[str, ...]:
        """The stages, in the order of the first call."""
        return tuple(self._stages)

    def sums(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """Sums of some stages, (calls,) in ms; a stage that was not measured counts nothing."""
        known = [self.stage(name) for name in names if name in self._stages]
        return np.sum(known, axis=0) if known else np.zeros(self._count)


def percentiles(values: npt.NDArray[np.float64], unit: str = "_ms") -> dict[str, float]:
    """p50, p95 and p99, interpolated linearly between the two nearest values.

    The p-th percentile of n sorted values lies at index (n - 1) * p / 100: the median of 1, 2, 3, 4
    is 2.5. Of fewer than 100 values, p99 is little more than the largest one.

    Args:
        values: (N,), at least one.
        unit: Follows each key: "p50_ms".
    """
    return {f"p{p}{unit}": float(np.percentile(values, p)) for p in (50, 95, 99)}


def ratio_of(slow: Mapping[str, float], fast: Mapping[str, float]) -> float | None:
    """How many times longer the first takes, by the medians; None if the second takes no time."""
    return slow["p50_ms"] / fast["p50_ms"] if fast["p50_ms"] > 0 else None
