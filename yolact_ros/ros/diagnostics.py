# SPDX-License-Identifier: Apache-2.0
"""The state of the node and of its cameras as a message of /diagnostics."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from yolact_ros.ros.counters import COUNTERS, SPACE_COUNTERS, Snapshot
from yolact_ros.ros.health import (
    Activity,
    CameraHealth,
    NodeHealth,
    SpaceHealth,
    Verdict,
    judge_camera,
    judge_node,
)

_HISTORY = 60.0
"""Seconds for which counts are remembered, for the rates of slow cameras."""


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    """Return the values of a status by key."""
    return {item.key: item.value for item in status.values}


def status_name(node: str, camera: str = "") -> str:
    """Return the name of a status: of a camera, or of the whole node.

    Args:
        node: Fully qualified name of the node, such as "/left/yolact".
        camera: As in the parameter `cameras`.
    """
    return f"{node.lstrip('/')}: " + (f"camera {camera}" if camera else "segmentation")


@dataclass(frozen=True)
class NetworkState:
    """What the diagnostics tell of the network; everything is empty while unconfigured.

    Attributes:
        preset: The preset's name.
        device: The device it runs on, such as "cuda:0".
        precision: Its arithmetic, such as "fp16".
        precision_reason: What was measured to choose it; empty where nothing was.
    """

    preset: str = ""
    device: str = ""
    precision: str = ""
    precision_reason: str = ""


@dataclass(frozen=True)
class DepthState:
    """What the diagnostics tell of a camera's depth, while somebody wants objects or points.

    Attributes:
        topic: Topic of the depth images.
        sources: What is published there, in words.
        info_topic: Topic of the calibrations.
        info_sources: What is published there, in words.
        calibrated: Whether a camera_info came, usable or not.
    """

    topic: str
    sources: str
    info_topic: str
    info_sources: str
    calibrated: bool


@dataclass(frozen=True)
class CameraState:
    """What the diagnostics tell of one camera.

    Attributes:
        name: As in the parameter `cameras`; empty for the only one.
        snapshot: Its counts and times.
        topic: Topic of its images; empty while the node is not active.
        publishers: Number of publishers found on it.
        sources: What is published there, in words.
        reliable: Whether reliable delivery is requested.
        wanted: Whether somebody subscribes to one of its results.
        stamps: What is wrong with its stamps; empty: nothing.
        depth: Its depth; None: nobody wants objects or points.
    """

    name: str
    snapshot: Snapshot
    topic: str = ""
    publishers: int = 0
    sources: str = ""
    reliable: bool = False
    wanted: bool = False
    stamps: str = ""
    depth: DepthState | None = None


@dataclass(frozen=True)
class NodeState:
    """What the diagnostics tell of the node as a whole.

    Attributes:
        name: The node's fully qualified name.
        lifecycle: The lifecycle state, such as "active" or "configuring".
        snapshot: Counts and times of all cameras together.
        problem: Why the last transition failed; empty if it did not.
        network: The network in use.
        cameras: Empty while unconfigured.
        loading: What a transition is doing; None: there is none.
        working: What the threads are doing that segment and publish; None: they wait.
        batch_period: Least time between two batches, s.
        active_since: Monotonic time of the activation, s; None while it is not active.
        middleware: Its name, and what it does not tell of.
    """

    name: str
    lifecycle: str
    snapshot: Snapshot
    problem: str = ""
    network: NetworkState = NetworkState()
    cameras: Sequence[CameraState] = ()
    loading: Activity | None = None
    working: Activity | None = None
    batch_period: float = 0.0
    active_since: float | None = None
    middleware: str = ""


class Diagnostics:
    """Makes the messages, and remembers the times and counts that the levels follow from.

    A message has a status for the node as a whole and, with `cameras`, one per camera.

    Attributes:
        verdicts: What the last message said of each camera, by name.
    """

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self._memories: dict[str, _Memory] = {}

    def message(self, state: NodeState, now: float, stamp: Time) -> DiagnosticArray:
        """Make a message.

        Args:
            state: The node's state.
            now: Monotonic time, s, of the clock of the counters.
            stamp: Stamp of the message.
        """
        node = NodeHealth(
            lifecycle=state.lifecycle,
            problem=state.problem,
            loading=state.loading,
            working=state.working,
            batch_seconds=state.snapshot.times.get("batch", (0.0, 0.0))[0] / 1000,
            batch_period=state.batch_period,
            wanted=any(camera.wanted for camera in state.cameras),
            several=len(state.cameras) > 1,
        )
        statuses = []
        self.verdicts = {}
        for camera in state.cameras:
            memory = self._memories.setdefault(camera.name, _Memory())
            memory.update(camera, now)
            verdict = judge_camera(_health(state, camera, memory, now), node)
            self.verdicts[camera.name] = verdict
            if camera.name:
                values = _values([camera], camera.snapshot, memory)
                statuses.append(_status(state, camera.name, verdict, values))
        whole = self._memories.setdefault(":", _Memory())  # no camera can be called so
        whole.update(CameraState("", state.snapshot), now)
        values = asdict(state.network) | {"middleware": state.middleware}
        values |= _values(state.cameras, state.snapshot, whole)
        if statuses:
            values["frames in a batch (mean)"] = f"{state.snapshot.batch_size:.2f}"
        statuses.insert(0, _status(state, "", judge_node(node, self.verdicts), values))
        message = DiagnosticArray(status=statuses)
        message.header.stamp = stamp
        return message


def _health(state: NodeState, camera: CameraState, memory: _Memory, now: float) -> CameraHealth:
    def since(moment: float | None) -> float | None:
        return None if moment is None else now - moment

    return CameraHealth(
        topic=camera.topic,
        publishers=camera.publishers,
        sources=camera.sources,
        since_active=since(state.active_since) or 0.0,
        since_wanted=since(memory.wanted_since),
        since_image=since(camera.snapshot.last_image),
        since_result=since(camera.snapshot.last_result),
        period=camera.snapshot.period,
        recent=memory.recent,
        unanswered=camera.snapshot.since_result,
        reasons=camera.snapshot.reasons,
        space=_space_health(camera, memory, now),
    )


def _space_health(camera: CameraState, memory: _Memory, now: float) -> SpaceHealth | None:
    depth, since = camera.depth, memory.space_wanted_since
    if depth is None or since is None:
        return None
    snapshot = camera.snapshot
    delay = snapshot.times.get("depth")
    return SpaceHealth(
        topic=depth.topic,
        info_topic=depth.info_topic,
        since_wanted=now - since,
        sources=depth.sources,
        info_sources=depth.info_sources,
        calibrated=depth.calibrated,
        since_depth=None if snapshot.last_depth is None else now - snapshot.last_depth,
        since_measured=None if snapshot.last_measured is None else now - snapshot.last_measured,
        period=snapshot.depth_period,
        delay=None if delay is None else delay[0] / 1000,
        recent=memory.recent,
        unanswered=snapshot.since_measured,
        reasons=snapshot.reasons,
    )


class _Memory:
    """What earlier messages knew of a camera.

    Attributes:
        wanted_since: Monotonic time since when somebody wants its results, s; None: nobody does.
        space_wanted_since: The same of its objects or points.
        recent: What was counted lately, by counter: since the last message, or longer for a slow
            camera.
        elapsed: The seconds in which that was counted; 0 in the first message.
    """

    def __init__(self) -> None:
        self.wanted_since: float | None = None
        self.space_wanted_since: float | None = None
        self.recent: dict[str, int] = {}
        self.elapsed = 0.0
        self._history: deque[tuple[float, Mapping[str, int]]] = deque()

    def update(self, camera: CameraState, now: float) -> None:
        if not camera.wanted:
            self.wanted_since = None
        elif self.wanted_since is None:
            self.wanted_since = now
        if camera.depth is None:
            self.space_wanted_since = None
        elif self.space_wanted_since is None:
            self.space_wanted_since = now
        counts, period = camera.snapshot.counts, camera.snapshot.period
        if self._history and counts["received"] < self._history[-1][1]["received"]:
            self._history.clear()  # a node that is configured again counts anew
        window = min(2 * period, _HISTORY) if period is not None else 0.0
        # The first message counts from the beginning.
        beginning: Mapping[str, int] = dict.fromkeys(counts, 0)
        earlier = [*self._history] or [(now, beginning)]
        then, before = next(
            (each for each in reversed(earlier) if now - each[0] >= window), earlier[0]
        )
        self.elapsed = now - then
        self.recent = {name: count - before[name] for name, count in counts.items()}
        self._history.append((now, counts))
        while now - self._history[0][0] > _HISTORY:
            self._history.popleft()

    @property
    def rates(self) -> dict[str, str]:
        if not self.elapsed:
            return {}
        return {
            f"rate {name} (Hz)": f"{self.recent[name] / self.elapsed:.1f}"
            for name in ("received", "processed")
        }


def _status(
    state: NodeState, camera: str, verdict: Verdict, values: dict[str, str]
) -> DiagnosticStatus:
    first = {"state": state.lifecycle, "cause": verdict.cause.value}
    return DiagnosticStatus(
        level=bytes([verdict.level]),
        name=status_name(state.name, camera),
        message=verdict.text,
        hardware_id=state.network.device,
        values=[KeyValue(key=key, value=value) for key, value in (first | values).items()],
    )


def _values(cameras: Sequence[CameraState], snapshot: Snapshot, memory: _Memory) -> dict[str, str]:
    """The values that a camera's status and the node's have in common."""
    values = {
        "image topic": ", ".join(item.topic for item in cameras),
        "publishers": str(sum(item.publishers for item in cameras)),
        "reliability": ", ".join(
            "reliable" if reliable else "best effort"
            for reliable in sorted({item.reliable for item in cameras}) or [False]
        ),
        "stamps": "; ".join(sorted({item.stamps for item in cameras if item.stamps})) or "usable",
    }
    shown = COUNTERS
    if depths := [item.depth for item in cameras if item.depth is not None]:
        values["depth topic"] = ", ".join(depth.topic for depth in depths)
        values["camera_info topic"] = ", ".join(depth.info_topic for depth in depths)
        shown = COUNTERS | SPACE_COUNTERS
    values |= memory.rates
    for name, meaning in shown.items():
        values[meaning] = str(snapshot.counts[name])
    for stage, (median, worst) in snapshot.times.items():
        values[f"{stage} p50 (ms)"] = f"{median:.2f}"
        values[f"{stage} p95 (ms)"] = f"{worst:.2f}"
    return values
