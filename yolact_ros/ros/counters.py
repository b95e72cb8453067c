# SPDX-License-Identifier: Apache-2.0
"""Counts, times and reasons, shared between the node's threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

COUNTERS = {
    "received": "frames that reached the node",
    "processed": "frames that were segmented and published",
    "replaced": "frames dropped in the node because a newer one came first",
    "lost": "frames lost in DDS before they reached the node",
    "overwritten": "frames overwritten by newer ones before the node could take them",
    "unwanted": "frames skipped because nobody subscribes to a result",
    "too_old": "frames dropped because of max_image_age",
    "bad": "frames that were malformed",
    "failed": "frames whose segmentation failed",
    "raised": "frames whose callback failed",
    "unpublished": "frames whose results could not be published",
    "stopped": "frames dropped because the node was deactivated",
}
"""The counters and their descriptions, which are keys in /diagnostics."""

OUTCOMES = tuple(name for name in COUNTERS if name not in ("received", "lost", "overwritten"))
"""The counters in exactly one of which every frame received ends."""

WINDOW = 256
"""Largest number of times kept per stage."""
RECENT = 10.0
"""Seconds after which a time is no longer shown: it says nothing of what happens now."""
_INTERVALS_KEPT = 5


@dataclass(frozen=True)
class Snapshot:
    """A copy of the counters at one moment.

    Attributes:
        counts: Value of each counter since the node was configured.
        times: Median and 95th percentile of each stage over its last `WINDOW` frames, as far as
            they are not older than `RECENT`, ms.
        batch_size: Mean number of frames in the recent batches; 0 without any.
        last_image: Monotonic time of the last frame received, s; None: none since the activation.
        last_result: Monotonic time of the last frame processed, s; None: none since then.
        period: Median time between the last few frames received, s; None before the second.
        since_result: What was counted since the last frame was processed, or the activation.
        reasons: The last reason given for each counter that got one.
    """

    counts: Mapping[str, int]
    times: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    batch_size: float = 0.0
    last_image: float | None = None
    last_result: float | None = None
    period: float | None = None
    since_result: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


class Counters:
    """Counters and stage times; every method may be called from every thread.

    Args:
        total: The whole node's counters, to which everything is added as well.
        clock: Returns monotonic time, s.
    """

    def __init__(
        self, total: Counters | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._counts_at_result = dict(self._counts)
        self._reasons: dict[str, str] = {}
        self._last_image: float | None = None
        self._last_result: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS_KEPT)
        self._times: dict[str, deque[tuple[float, float]]] = {}
        self._batch_sizes: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def count(self, counter: str, amount: int = 1, reason: str = "") -> None:
        """Add to one of `COUNTERS`.

        Args:
            reason: In words, for the diagnostics.
        """
        with self._lock:
            self._counts[counter] += amount
            if reason:
                self._reasons[counter] = reason
            if counter == "received":
                now = self._clock()
                if self._last_image is not None:
                    self._intervals.append(now - self._last_image)
                self._last_image = now
            elif counter == "processed":
                self._last_result = self._clock()
                self._counts_at_result = dict(self._counts)
        if self._total is not None:
            self._total.count(counter, amount, reason)

    def begin(self) -> None:
        """Forget when images and results came: what comes now has nothing to do with them."""
        with self._lock:
            self._last_image = self._last_result = None
            self._intervals.clear()
            self._counts_at_result = dict(self._counts)

    def record(self, stage: str, milliseconds: float) -> None:
        """Record how long a stage took for one frame."""
        with self._lock:
            times = self._times.setdefault(stage, deque(maxlen=WINDOW))
            times.append((self._clock(), milliseconds))
        if self._total is not None:
            self._total.record(stage, milliseconds)

    def record_batch(self, size: int) -> None:
        """Record how many frames were segmented together."""
        with self._lock:
            self._batch_sizes.append((self._clock(), size))

    def snapshot(self) -> Snapshot:
        """Copy the counts and summarise the times."""
        with self._lock:
            oldest = self._clock() - RECENT
            counts = dict(self._counts)
            times = {stage: _recent(values, oldest) for stage, values in self._times.items()}
            sizes = _recent(self._batch_sizes, oldest)
            intervals = sorted(self._intervals)
            at_result = self._counts_at_result
            reasons = dict(self._reasons)
            last_image, last_result = self._last_image, self._last_result
        return Snapshot(
            counts=counts,
            times={stage: _percentiles(sorted(kept)) for stage, kept in times.items() if kept},
            batch_size=sum(sizes) / len(sizes) if sizes else 0.0,
            last_image=last_image,
            last_result=last_result,
            period=_percentiles(intervals)[0] if intervals else None,
            since_result={name: counts[name] - at_result[name] for name in counts},
            reasons=reasons,
        )


def _recent(values: deque[tuple[float, float]], oldest: float) -> list[float]:
    while values and values[0][0] < oldest:
        values.popleft()
    return [value for _, value in values]


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
