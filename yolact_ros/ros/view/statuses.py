# SPDX-License-Identifier: Apache-2.0
"""A status of /diagnostics, sorted for the page."""

from __future__ import annotations

import re
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from yolact_ros.ros.counters import COUNTERS, SPACE_COUNTERS
from yolact_ros.ros.diagnostics import values_of

_PERCENTILE = re.compile(r"(.+) (p50|p95) \(ms\)")
_RATE = "rate {} (Hz)"
_WHERE = "image topic"
_DROPS = ("replaced", "lost", "overwritten", "too_old", "bad", "failed", "raised", "unpublished")
"""Counters of frames that should have had a result."""


def page_status(status: DiagnosticStatus) -> dict[str, Any]:
    """Return what the page shows of a status.

    Its entries: level, cause, message, state and topic; figures: [value, label, whether it is bad]
    of rates, ages and drops; times: [stage, median, 95th percentile], ms; counts: [meaning, number]
    of all counters that are not 0; facts: [name, value] of everything else.
    """
    values = values_of(status)
    counts = [
        [meaning, values.pop(meaning)]
        for meaning in (COUNTERS | SPACE_COUNTERS).values()
        if meaning in values
    ]
    times: dict[str, list[Any]] = {}
    facts = []
    dropped = sum(int(number) for meaning, number in counts if meaning in _drops())
    figures = [
        [values.pop(_RATE.format(name)), f"Hz {label}", False]
        for name, label in (("received", "in"), ("processed", "out"))
        if _RATE.format(name) in values
    ]
    cause, state = values.pop("cause", ""), values.pop("state", "")
    for name, value in values.items():
        if match := _PERCENTILE.fullmatch(name):
            times.setdefault(match[1], [match[1], 0.0, 0.0])
            times[match[1]][1 if match[2] == "p50" else 2] = float(value)
        elif value:
            facts.append([name, value])
    if age := times.pop("age", None):
        figures.append([f"{age[1]:.0f} / {age[2]:.0f}", "ms old", False])
    figures.append([str(dropped), "dropped", dropped > 0])
    return {
        "level": status.level[0],
        "cause": cause,
        "message": status.message,
        "state": state,
        "topic": values.get(_WHERE, ""),
        "figures": figures,
        "times": list(times.values()),
        "counts": [[meaning, number] for meaning, number in counts if number != "0"],
        "facts": facts,
    }


def _drops() -> set[str]:
    return {COUNTERS[name] for name in _DROPS}
