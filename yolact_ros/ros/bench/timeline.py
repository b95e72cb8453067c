# SPDX-License-Identifier: Apache-2.0
"""What a record of minutes amounts to: curves over time, growth, gaps and sums; no ROS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolact_ros.bench.timings import percentiles
from yolact_ros.ros.bench.counts import Arrivals, is_settled
from yolact_ros.ros.bench.recorder import Recorder, Sample, Told
from yolact_ros.ros.counters import COUNTERS, OUTCOMES

SETTLING = 120.0
"""Seconds after which memory is not to grow any more: every size and path has been used then."""
LARGEST_GROWTH = 0.01
LONGEST_GAP = 2.0
"""Longest time without /diagnostics, s; they come once a second."""
_LEAST = 60.0
"""Seconds after the settling without which nothing is said of growth."""
_POINTS = 300
"""Largest number of points of a curve of ages."""
_LARGEST_AGE = 3600.0
"""Seconds beyond which a stamp is rubbish that was sent on purpose."""


@dataclass(frozen=True)
class Span:
    """From when to when something was recorded, ns by the system's clock."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.begin_ns) * 1e-9

    def at(self, at_ns: int) -> float:
        """Seconds from the begin."""
        return (at_ns - self.begin_ns) * 1e-9


def describe_record(
    recorder: Recorder, arrivals: Mapping[str, Arrivals], span: Span
) -> dict[str, Any]:
    """Describe a node over time.

    Args:
        recorder: What was recorded.
        arrivals: Results by topic.
        span: From when to when.

    Returns:
        "seconds"; "memory" (a curve per attribute of `Sample`), "diagnostics" (levels, states and
        counters that are never taken back), "ages" (p50 and max of each moment); "growth" or None;
        "longest_gap_s"; "age_ms" or None; "counts"; "problems", in words.
    """
    samples = [sample for sample in recorder.samples if span.begin_ns <= sample.at_ns]
    told = [one for one in recorder.told if span.begin_ns <= one.at_ns <= span.end_ns]
    counts = _never_taken_back(told)
    growth = growth_of(samples, span)
    gap, at = _longest_gap(told, span)
    pairs = np.concatenate([np.empty((0, 2), np.int64), *arrivals.values()])
    ages = (pairs[:, 1] - pairs[:, 0]) * 1e-6
    pairs, ages = (values[np.abs(ages) < _LARGEST_AGE * 1000] for values in (pairs, ages))
    return {
        "seconds": span.seconds,
        "memory": {
            "seconds": [span.at(sample.at_ns) for sample in samples],
            "without_files_mb": [sample.without_files_mb for sample in samples],
            "rss_mb": [sample.rss_mb for sample in samples],
            "threads": [sample.threads for sample in samples],
            "files": [sample.files for sample in samples],
            "at_rest": [int(sample.at_rest) for sample in samples],
        },
        "processor_cores": _cores(samples),
        "diagnostics": {
            "seconds": [span.at(one.at_ns) for one in told],
            "level": [one.level for one in told],
            "state": [one.state for one in told],
            "counts": {name: [each[name] for each in counts] for name in COUNTERS},
        },
        "ages": _curve(span, pairs[:, 1], ages),
        "growth": growth,
        "longest_gap_s": gap,
        "age_ms": percentiles(ages, "") | {"max": float(ages.max())} if len(ages) else None,
        "counts": dict(counts[-1]) if counts else dict.fromkeys(COUNTERS, 0),
        "problems": [*_growth_problems(growth), *_gap_problems(gap, at), *_sum_problems(told)],
    }


def growth_of(samples: Sequence[Sample], span: Span) -> dict[str, Any] | None:
    """Compare memory after the settling with that at the end.

    Samples at rest count alone, where there are any: what is at work needs more. How much is held
    at rest depends on what came before, such as the largest message of an output, which DDS keeps
    room for; it is bounded. So the most that was held in the first half of the time is compared
    with the most in the second half, and grows by half as much as in all of it.

    Returns:
        "from_s", "to_s", and for "without_files_mb" and "rss_mb" the values "before", "after" and
        the "growth", 0.01 for 1 %; "is_judged": whether it was long enough for a verdict. None
        without two moments to compare.
    """
    settling = min(SETTLING, span.seconds / 3)
    resting = [sample for sample in samples if sample.at_rest]
    later = [one for one in resting or samples if span.at(one.at_ns) >= settling]
    if len(later) < 2:
        return None
    count = len(later) // 2 if resting else max(1, len(later) // 10)
    first, last = later[:count], later[-count:]
    typical, share = (np.max, 0.5) if resting else (np.median, 1.0)
    described: dict[str, Any] = {
        "from_s": span.at(first[0].at_ns),
        "to_s": span.at(last[-1].at_ns),
        "is_judged": settling == SETTLING and span.seconds - settling >= _LEAST,
    }
    for name in ("without_files_mb", "rss_mb"):
        before, after = (
            float(typical([getattr(one, name) for one in part])) for part in (first, last)
        )
        growth = (after / before - 1) / share
        described[name] = {"before": before, "after": after, "growth": growth}
    return described


def _growth_problems(growth: Mapping[str, Any] | None) -> Iterator[str]:
    if growth is None or not growth["is_judged"]:
        return
    memory = growth["without_files_mb"]
    if memory["growth"] > LARGEST_GROWTH:
        yield (
            f"memory without files grew by {memory['growth']:.1%}, from {memory['before']:.1f} MB "
            f"at {growth['from_s']:.0f} s to {memory['after']:.1f} MB at {growth['to_s']:.0f} s; "
            f"expected {LARGEST_GROWTH:.0%} at most"
        )


def _longest_gap(told: Sequence[Told], span: Span) -> tuple[float, float]:
    """The longest time without /diagnostics, s, and at which second it began."""
    moments = [0.0, *(span.at(one.at_ns) for one in told), span.seconds]
    gaps = np.diff(moments)
    longest = int(gaps.argmax())
    return float(gaps[longest]), moments[longest]


def _gap_problems(gap: float, at: float) -> Iterator[str]:
    if gap > LONGEST_GAP:
        expected = f"expected at most {LONGEST_GAP:g} s"
        yield f"no /diagnostics for {gap:.1f} s from {at:.1f} s on; {expected}"


def _sum_problems(told: Sequence[Told]) -> Iterator[str]:
    """More outcomes than frames at any moment, or frames in no counter while nothing is at work."""
    for one in told:
        received, done = one.counts["received"], sum(one.counts[name] for name in OUTCOMES)
        if done > received or (one.state == "inactive" and not is_settled(one.counts)):
            yield f"while {one.state}: received {received}, but {done} in the other counters"
            return


def _never_taken_back(told: Sequence[Told]) -> list[dict[str, int]]:
    """Counters over time, as if a node that is configured again did not begin anew."""
    before = dict.fromkeys(COUNTERS, 0)
    last: Mapping[str, int] = before
    curve = []
    for one in told:
        if one.counts["received"] < last["received"]:
            before = {name: before[name] + last[name] for name in COUNTERS}
        last = one.counts
        curve.append({name: before[name] + last[name] for name in COUNTERS})
    return curve


def _cores(samples: Sequence[Sample]) -> float | None:
    """Processor time per second, in cores."""
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    return (last.processor_s - first.processor_s) / ((last.at_ns - first.at_ns) * 1e-9)


def _curve(span: Span, moments_ns: Any, ages: Any) -> dict[str, list[float]]:
    """Median and largest age of the results of each moment, with gaps where none came."""
    step = max(1.0, span.seconds / _POINTS)
    places = ((moments_ns - span.begin_ns) * 1e-9 // step).astype(int)
    curve: dict[str, list[float]] = {"seconds": [], "p50_ms": [], "max_ms": []}
    for place in np.unique(places):
        here = ages[places == place]
        curve["seconds"].append(float((place + 0.5) * step))
        curve["p50_ms"].append(float(np.median(here)))
        curve["max_ms"].append(float(here.max()))
    return curve
