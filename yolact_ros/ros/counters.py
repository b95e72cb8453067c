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

SPACE_COUNTERS = {
    "depth_received": "depth images that reached the node",
    "depth_lost": "depth images lost in DDS before they reached the node",
    "depth_disordered": "depth images that came after one of a later moment",
    "depth_late": "depth images that came too late for their image",
    "measured": "results with objects or points published",
    "unmatched": "results without a depth image of their moment",
    "overtaken": "results not measured because newer ones were waiting",
    "other_frame": "results whose depth image has another frame_id",
    "other_size": "results whose depth image has another size",
    "depth_bad": "results whose depth image was malformed",
    "depth_zero": "results whose depth image is all zeros",
    "depth_nan": "results whose depth image has not one usable number",
    "no_camera_info": "results before the first camera_info",
    "uncalibrated": "results whose camera_info cannot be used",
    "untransformed": "results without a transform to space.target_frame",
    "unmeasured": "results whose objects could not be measured or published",
    "not_wanted": "results whose objects nobody wanted any more",
    "space_stopped": "results not measured because the node was deactivated",
}
"""Counters of what goes into space, shown while somebody wants it."""

_OF_DEPTH = ("depth_received", "depth_lost", "depth_disordered", "depth_late")
SPACE_OUTCOMES = tuple(name for name in SPACE_COUNTERS if name not in _OF_DEPTH)
"""The counters in exactly one of which every result ends whose objects or points are wanted."""

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
        last_depth: Monotonic time of the last depth image received, s; None: none since then.
        last_measured: Monotonic time of the last result measured, s; None: none since then.
        depth_period: Median time between the last few depth images, s; None before the second.
        since_measured: What was counted since the last result was measured, or the activation.
    """

    counts: Mapping[str, int]
    times: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    batch_size: float = 0.0
    last_image: float | None = None
    last_result: float | None = None
    period: float | None = None
    since_result: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    last_depth: float | None = None
    last_measured: float | None = None
    depth_period: float | None = None
    since_measured: Mapping[str, int] = field(default_factory=dict)


class _Arrivals:
    """When messages come."""

    def __init__(self) -> None:
        self.last: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS_KEPT)

    def note(self, now: float) -> None:
        if self.last is not None:
            self._intervals.append(now - self.last)
        self.last = now

    @property
    def period(self) -> float | None:
        return _percentiles(sorted(self._intervals))[0] if self._intervals else None


class _Answers:
    """When results go out, and what was counted since then."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.last: float | None = None
        self._counts = dict(counts)

    def note(self, now: float | None, counts: Mapping[str, int]) -> None:
        self.last = now
        self._counts = dict(counts)

    def unanswered(self, counts: Mapping[str, int]) -> dict[str, int]:
        return {name: counts[name] - self._counts[name] for name in counts}


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
        self._counts = dict.fromkeys((*COUNTERS, *SPACE_COUNTERS), 0)
        self._reasons: dict[str, str] = {}
        self._arrivals = {"received": _Arrivals(), "depth_received": _Arrivals()}
        self._answers = {name: _Answers(self._counts) for name in ("processed", "measured")}
        self._times: dict[str, deque[tuple[float, float]]] = {}
        self._batch_sizes: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def count(self, counter: str, amount: int = 1, reason: str = "") -> None:
        """Add to one of `COUNTERS` or `SPACE_COUNTERS`.

        Args:
            reason: In words, for the diagnostics.
        """
        with self._lock:
            self._counts[counter] += amount
            if reason:
                self._reasons[counter] = reason
            if counter in self._arrivals:
                self._arrivals[counter].note(self._clock())
            elif counter in self._answers:
                self._answers[counter].note(self._clock(), self._counts)
        if self._total is not None:
            self._total.count(counter, amount, reason)

    def begin(self) -> None:
        """Forget when images and results came: what comes now has nothing to do with them."""
        with self._lock:
            self._arrivals = {name: _Arrivals() for name in self._arrivals}
            for answers in self._answers.values():
                answers.note(None, self._counts)

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
            reasons = dict(self._reasons)
            images, depths = self._arrivals["received"], self._arrivals["depth_received"]
            last_image, period = images.last, images.period
            last_depth, depth_period = depths.last, depths.period
            results, measured = self._answers["processed"], self._answers["measured"]
            last_result, since_result = results.last, results.unanswered(counts)
            last_measured, since_measured = measured.last, measured.unanswered(counts)
        return Snapshot(
            counts=counts,
            times={stage: _percentiles(sorted(kept)) for stage, kept in times.items() if kept},
            batch_size=sum(sizes) / len(sizes) if sizes else 0.0,
            last_image=last_image,
            last_result=last_result,
            period=period,
            since_result=since_result,
            reasons=reasons,
            last_depth=last_depth,
            last_measured=last_measured,
            depth_period=depth_period,
            since_measured=since_measured,
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
