# SPDX-License-Identifier: Apache-2.0
"""The node's state as a diagnostic message."""

from __future__ import annotations

from dataclasses import dataclass

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from yolact_ros.ros.statistics import COUNTERS, Snapshot


@dataclass(frozen=True)
class NodeState:
    """What the diagnostics tell besides the statistics.

    Attributes:
        name: The node's name.
        lifecycle: "unconfigured", "inactive", "active" or "finalized".
        problem: Why the last transition failed; empty if it did not.
        preset: Name of the preset; empty while unconfigured.
        device: Where the network runs; empty while unconfigured.
        precision: Arithmetic of the network; empty while unconfigured.
        topic: The image topic.
        publishers: Publishers found on it.
        reliable: Whether reliable delivery is asked for.
    """

    name: str
    lifecycle: str
    problem: str = ""
    preset: str = ""
    device: str = ""
    precision: str = ""
    topic: str = ""
    publishers: int = 0
    reliable: bool = False


class Diagnostics:
    """Makes one message a second, and remembers the last one's counts to judge by what changed."""

    def __init__(self) -> None:
        self._previous: Snapshot | None = None
        self._previous_time = 0.0

    def message(
        self, state: NodeState, snapshot: Snapshot, now: float, stamp: Time
    ) -> DiagnosticArray:
        """Makes the message.

        Args:
            now: Monotonic time, s, for rates.
            stamp: Of the message.
        """
        before = self._previous.counts if self._previous else dict.fromkeys(COUNTERS, 0)
        # A cleaned-up node begins to count anew.
        change = {name: max(0, value - before[name]) for name, value in snapshot.counts.items()}
        elapsed = now - self._previous_time
        level, summary = _judge(state, change)
        values = {
            "state": state.lifecycle,
            "preset": state.preset,
            "device": state.device,
            "precision": state.precision,
            "image topic": state.topic,
            "publishers": str(state.publishers),
            "reliability": "reliable" if state.reliable else "best effort",
        }
        if self._previous is not None and elapsed > 0:
            values["rate received (Hz)"] = f"{change['received'] / elapsed:.1f}"
            values["rate processed (Hz)"] = f"{change['processed'] / elapsed:.1f}"
        for name, meaning in COUNTERS.items():
            values[meaning] = str(snapshot.counts[name])
        for stage, (median, worst) in snapshot.times.items():
            values[f"{stage} p50 (ms)"] = f"{median:.2f}"
            values[f"{stage} p95 (ms)"] = f"{worst:.2f}"
        self._previous, self._previous_time = snapshot, now
        message = DiagnosticArray(
            status=[
                DiagnosticStatus(
                    level=level,
                    name=f"{state.name}: segmentation",
                    message=summary,
                    hardware_id=state.device,
                    values=[KeyValue(key=key, value=value) for key, value in values.items()],
                )
            ]
        )
        message.header.stamp = stamp
        return message


def _judge(state: NodeState, change: dict[str, int]) -> tuple[bytes, str]:
    """The level and one line, from the worst that happened since the last message."""
    if state.problem:
        return DiagnosticStatus.ERROR, state.problem
    if state.lifecycle != "active":
        return DiagnosticStatus.OK, f"node is {state.lifecycle}"
    if change["failed"]:
        return DiagnosticStatus.ERROR, f"{change['failed']} frames could not be segmented"
    warnings = [
        f"{change[name]} {text}"
        for name, text in (
            ("bad", "malformed frames"),
            ("lost", "frames lost in DDS"),
            ("too_old", "frames too old"),
        )
        if change[name]
    ]
    if warnings:
        return DiagnosticStatus.WARN, ", ".join(warnings)
    if not change["received"]:
        if state.publishers == 0:
            return DiagnosticStatus.WARN, f"waiting for images: nobody publishes {state.topic}"
        return DiagnosticStatus.WARN, f"waiting for images: none came on {state.topic}"
    if not change["processed"] and change["unwanted"]:
        return DiagnosticStatus.OK, "idle: nobody subscribes to a result"
    return DiagnosticStatus.OK, "segmenting"
