# SPDX-License-Identifier: Apache-2.0
"""Counts and stage times, shared between the node's threads."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

COUNTERS = {
    "received": "frames that reached the node",
    "processed": "frames that were segmented and published",
    "replaced": "frames dropped in the node because a newer one came first",
    "lost": "frames lost in DDS before they reached the node",
    "unwanted": "frames skipped because nobody subscribes to a result",
    "too_old": "frames dropped because of max_image_age",
    "bad": "frames that were malformed",
    "failed": "frames whose segmentation failed",
}
"""The counters and their descriptions, which are keys in /diagnostics."""

WINDOW = 256
"""Number of times kept per stage."""


@dataclass(frozen=True)
class Snapshot:
    """A copy of the counters at one moment.

    Attributes:
        counts: Value of each counter since the node was configured.
        times: Median and 95th percentile of each stage over its last `WINDOW` frames, ms.
        batch_size: Mean number of frames in the last `WINDOW` batches; 0 before the first.
    """

    counts: dict[str, int]
    times: dict[str, tuple[float, float]]
    batch_size: float = 0.0


class Counters:
    """Counters and stage times; every method may be called from every thread.

    Args:
        total: The whole node's counters, to which everything is added as well.
    """

    def __init__(self, total: Counters | None = None) -> None:
        self._total = total
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._times: dict[str, deque[float]] = {}
        self._batch_sizes: deque[int] = deque(maxlen=WINDOW)

    def count(self, counter: str, amount: int = 1) -> None:
        """Add to one of `COUNTERS`."""
        with self._lock:
            self._counts[counter] += amount
        if self._total is not None:
            self._total.count(counter, amount)

    def record(self, stage: str, milliseconds: float) -> None:
        """Record how long a stage took for one frame."""
        with self._lock:
            self._times.setdefault(stage, deque(maxlen=WINDOW)).append(milliseconds)
        if self._total is not None:
            self._total.record(stage, milliseconds)

    def record_batch(self, size: int) -> None:
        """Record how many frames were segmented together."""
        with self._lock:
            self._batch_sizes.append(size)

    def snapshot(self) -> Snapshot:
        """Copy the counts and summarise the times."""
        with self._lock:
            counts = dict(self._counts)
            times = {stage: list(values) for stage, values in self._times.items()}
            sizes = list(self._batch_sizes)
        return Snapshot(
            counts=counts,
            times={stage: _percentiles(sorted(values)) for stage, values in times.items()},
            batch_size=sum(sizes) / len(sizes) if sizes else 0.0,
        )


def _percentiles(ordered: list[float]) -> tuple[float, float]:
    """Return median and 95th percentile, interpolated as NumPy does, in a fraction of its time.

    The frames of all cameras wait meanwhile.
    """
    last = len(ordered) - 1

    def at(fraction: float) -> float:
        below = int(fraction * last)
        above = min(below + 1, last)
        return ordered[below] + (fraction * last - below) * (ordered[above] - ordered[below])

    return at(0.5), at(0.95)
