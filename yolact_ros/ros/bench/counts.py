# SPDX-License-Identifier: Apache-2.0
"""Sums and ages of `yolact-ros bench node`, from what its processes recorded; no ROS."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from yolact_ros.bench.timings import percentiles
from yolact_ros.ros.counters import COUNTERS, OUTCOMES

_STAGE = re.compile(r"(.+) (p50|p95) \(ms\)")

Arrivals = npt.NDArray[np.int64]
"""Results of one topic, (N, 2): stamp of the image, and when its result came, ns by one clock."""


@dataclass(frozen=True)
class CameraRun:
    """One camera's frames in one run without its warm-up.

    Attributes:
        stamps: (N,) int64, stamps of the frames published, ns.
        skipped: Frames that the camera did not make in time.
        counts: The node's counters, by the names of `COUNTERS`.
        arrivals: Results by output, in the order of the settings.
    """

    stamps: npt.NDArray[np.int64]
    skipped: int
    counts: Mapping[str, int]
    arrivals: Mapping[str, Arrivals]


def counts_of(values: Mapping[str, str]) -> dict[str, int]:
    """Read the counters in a status of `/diagnostics`, by the names of `COUNTERS`."""
    return {name: int(values[meaning]) for name, meaning in COUNTERS.items()}


def stages_of(values: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Read the times in a status of `/diagnostics`: "p50_ms" and "p95_ms" by stage."""
    stages: dict[str, dict[str, float]] = defaultdict(dict)
    for key, value in values.items():
        if found := _STAGE.fullmatch(key):
            stages[found[1]][f"{found[2]}_ms"] = float(value)
    return stages


def joined_stages(
    nodes: Iterable[Mapping[str, Mapping[str, float]]],
) -> dict[str, dict[str, float]]:
    """Join times of several nodes or runs: mean of the medians, worst 95th percentile."""
    joined: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for stages in nodes:
        for stage, times in stages.items():
            joined[stage].append(times)
    return {
        stage: {
            "p50_ms": float(np.mean([one["p50_ms"] for one in times])),
            "p95_ms": max(one["p95_ms"] for one in times),
        }
        for stage, times in joined.items()
    }


def is_settled(counts: Mapping[str, int]) -> bool:
    """Whether the node is done with every frame that it received."""
    return counts["received"] == sum(counts[name] for name in OUTCOMES)


def describe_camera(runs: Sequence[CameraRun]) -> dict[str, Any]:
    """Add up one camera's frames over its runs.

    Returns:
        "windows_ns": first and last stamp of each run;
        "published", "skipped" (not made in time by the camera), "lost_in_dds" (published, but not
        received) and the node's counters, of which "lost" is how many of those DDS told it of;
        "results": by output, how many were "received", and how many "lost" after processing;
        "age_ms" of the first output and "age_curve_ms" (percentiles 0 to 100), None without any;
        "problems": sums that do not close, in words.
    """
    counts = {name: sum(run.counts[name] for run in runs) for name in COUNTERS}
    published = sum(len(run.stamps) for run in runs)
    topics = list(runs[0].arrivals)
    pairs = np.concatenate([run.arrivals[topics[0]] for run in runs])
    ages = (pairs[:, 1] - pairs[:, 0]) * 1e-6
    received = {topic: sum(len(run.arrivals[topic]) for run in runs) for topic in topics}
    return {
        "windows_ns": [
            [int(run.stamps[0]), int(run.stamps[-1])] for run in runs if len(run.stamps)
        ],
        "published": published,
        "skipped": sum(run.skipped for run in runs),
        **counts,
        "lost_in_dds": published - counts["received"],
        "results": {
            topic: {"received": count, "lost": counts["processed"] - count}
            for topic, count in received.items()
        },
        "age_ms": percentiles(ages, "") | {"max": float(ages.max())} if len(ages) else None,
        "age_curve_ms": np.percentile(ages, range(101)).round(3).tolist() if len(ages) else None,
        "problems": [
            *_problems_before(published, counts),
            *(text for topic in topics for text in _problems_after(topic, runs, counts)),
        ],
    }


def _problems_before(published: int, counts: Mapping[str, int]) -> Iterator[str]:
    """What does not add up before a frame is processed."""
    received, lost = counts["received"], published - counts["received"]
    if lost < 0:
        yield f"received {received} of {published} published"
    elif counts["lost"] > lost:
        yield (
            f"published {published} = received {received} + lost in DDS {lost}, but the node was "
            f"told of {counts['lost']} lost"
        )
    done = sum(counts[name] for name in OUTCOMES)
    if done != received:
        parts = " + ".join(f"{name.replace('_', ' ')} {counts[name]}" for name in OUTCOMES)
        yield f"received {received} = {parts} {received - done:+d} that the node did not count"


def _problems_after(
    topic: str, runs: Sequence[CameraRun], counts: Mapping[str, int]
) -> Iterator[str]:
    """What does not add up between processing and the subscriber."""
    processed = counts["processed"]
    received = different = strange = 0
    for run in runs:
        stamps = run.arrivals[topic][:, 0]
        received += len(stamps)
        different += len(np.unique(stamps))
        strange += int((~np.isin(stamps, run.stamps)).sum())
    if received != processed:
        yield f"{topic}: processed {processed} = results {received} {processed - received:+d} lost"
    if different != received:
        yield f"{topic}: {received - different} results came twice"
    if strange:
        yield f"{topic}: {strange} results of frames that were not published"


def span_seconds(runs: Iterable[CameraRun]) -> float:
    """Seconds from the first stamp to the last result of the cameras of one run."""
    begins, ends = [], []
    for run in runs:
        begins.append(run.stamps.min(initial=np.iinfo(np.int64).max))
        ends += [arrivals[:, 1].max(initial=0) for arrivals in run.arrivals.values()]
    return max(0.0, float(max(ends) - min(begins)) * 1e-9)
