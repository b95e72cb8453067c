# SPDX-License-Identifier: Apache-2.0
"""The state of the node and of its cameras as a message of /diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from yolact_ros.ros.counters import COUNTERS, Snapshot

_SEGMENTING = "segmenting"
_IDLE = "idle: nobody subscribes to a result"


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    """Return the values of a status by key."""
    return {item.key: item.value for item in status.values}


@dataclass(frozen=True)
class NetworkState:
    """What the diagnostics tell of the network; everything is empty while unconfigured.

    Attributes:
        preset: The preset's name.
        device: The device it runs on, such as "cuda:0".
        precision: Its arithmetic, such as "fp16".
    """

    preset: str = ""
    device: str = ""
    precision: str = ""


@dataclass(frozen=True)
class CameraState:
    """What the diagnostics tell of one camera.

    Attributes:
        name: As in the parameter `cameras`; empty for the only one.
        topic: Topic of its images; empty while the node is not active.
        publishers: Number of publishers found on it.
        reliable: Whether reliable delivery is requested.
        snapshot: Its counts and times.
    """

    name: str
    topic: str
    publishers: int
    reliable: bool
    snapshot: Snapshot


@dataclass(frozen=True)
class NodeState:
    """What the diagnostics tell of the node as a whole.

    Attributes:
        name: The node's name.
        lifecycle: "unconfigured", "inactive", "active" or "finalized".
        snapshot: Counts and times of all cameras together.
        problem: Why the last transition failed; empty if it did not.
        network: The network in use.
        cameras: Empty while unconfigured.
    """

    name: str
    lifecycle: str
    snapshot: Snapshot
    problem: str = ""
    network: NetworkState = NetworkState()
    cameras: Sequence[CameraState] = ()


class Diagnostics:
    """Makes the messages, and remembers the last one's counts to judge by what has changed since.

    A message has a status for the node as a whole and, with `cameras`, one per camera.
    """

    def __init__(self) -> None:
        self._previous: dict[str, dict[str, int]] = {}
        self._previous_time: float | None = None

    def message(self, state: NodeState, now: float, stamp: Time) -> DiagnosticArray:
        """Make a message.

        Args:
            state: The node's state.
            now: Monotonic time, s, for rates.
            stamp: Stamp of the message.
        """
        elapsed = None if self._previous_time is None else now - self._previous_time
        snapshots = {"": state.snapshot} | {item.name: item.snapshot for item in state.cameras}
        changes = {name: self._change(name, item.counts) for name, item in snapshots.items()}
        judged = {item.name: _judge(state, item, changes[item.name]) for item in state.cameras}
        first = {"state": state.lifecycle, **asdict(state.network)}
        named = [item for item in state.cameras if item.name]
        whole = first | _values(state.cameras, state.snapshot, changes[""], elapsed)
        if named:
            whole["frames in a batch (mean)"] = f"{state.snapshot.batch_size:.2f}"
        statuses = [
            _status(state, "segmentation", *_judge_whole(state, changes[""], judged), whole)
        ]
        for item in named:
            values = {"state": state.lifecycle}
            values |= _values([item], item.snapshot, changes[item.name], elapsed)
            statuses.append(_status(state, item.name, *judged[item.name], values))
        self._previous = {name: item.counts for name, item in snapshots.items()}
        self._previous_time = now
        message = DiagnosticArray(status=statuses)
        message.header.stamp = stamp
        return message

    def _change(self, name: str, counts: dict[str, int]) -> dict[str, int]:
        before = self._previous.get(name, {})
        # A cleaned-up node begins to count anew.
        return {
            counter: max(0, value - before.get(counter, 0)) for counter, value in counts.items()
        }


def _status(
    state: NodeState, name: str, level: bytes, summary: str, values: dict[str, str]
) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level,
        name=f"{state.name}: {name}",
        message=summary,
        hardware_id=state.network.device,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _values(
    cameras: Sequence[CameraState],
    snapshot: Snapshot,
    change: dict[str, int],
    elapsed: float | None,
) -> dict[str, str]:
    """The values that a camera's status and the node's have in common."""
    values = {
        "image topic": ", ".join(item.topic for item in cameras),
        "publishers": str(sum(item.publishers for item in cameras)),
        "reliability": ", ".join(
            "reliable" if reliable else "best effort"
            for reliable in sorted({item.reliable for item in cameras}) or [False]
        ),
    }
    if elapsed:
        values["rate received (Hz)"] = f"{change['received'] / elapsed:.1f}"
        values["rate processed (Hz)"] = f"{change['processed'] / elapsed:.1f}"
    for name, meaning in COUNTERS.items():
        values[meaning] = str(snapshot.counts[name])
    for stage, (median, worst) in snapshot.times.items():
        values[f"{stage} p50 (ms)"] = f"{median:.2f}"
        values[f"{stage} p95 (ms)"] = f"{worst:.2f}"
    return values


def _judge_whole(
    state: NodeState, change: dict[str, int], cameras: dict[str, tuple[bytes, str]]
) -> tuple[bytes, str]:
    """Return level and message: the node's own trouble, or that of its cameras."""
    if state.problem:
        return DiagnosticStatus.ERROR, state.problem
    if state.lifecycle != "active":
        return DiagnosticStatus.OK, f"node is {state.lifecycle}"
    if change["failed"]:
        return DiagnosticStatus.ERROR, f"{change['failed']} frames could not be segmented"
    if len(cameras) == 1:
        return next(iter(cameras.values()))
    level = max((level for level, _ in cameras.values()), default=DiagnosticStatus.OK)
    if level == DiagnosticStatus.OK:
        busy = any(text == _SEGMENTING for _, text in cameras.values())
        return level, _SEGMENTING if busy else _IDLE
    texts = [f"{name}: {text}" for name, (own, text) in cameras.items() if own == level]
    return level, "; ".join(texts)


def _judge(state: NodeState, camera: CameraState, change: dict[str, int]) -> tuple[bytes, str]:
    """Return level and message of a camera, by the worst that happened since the last message."""
    if state.problem or state.lifecycle != "active":
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
        if camera.publishers == 0:
            return DiagnosticStatus.WARN, f"waiting for images: nobody publishes {camera.topic}"
        return DiagnosticStatus.WARN, f"waiting for images: none came on {camera.topic}"
    if not change["processed"] and change["unwanted"]:
        return DiagnosticStatus.OK, _IDLE
    return DiagnosticStatus.OK, _SEGMENTING
