# SPDX-License-Identifier: Apache-2.0
"""One run of `yolact-ros bench node`: every process from its start to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolact_ros.errors import InputError
from yolact_ros.ros.bench import process_use
from yolact_ros.ros.bench.counts import Arrivals, CameraRun, counts_of, is_settled, stages_of
from yolact_ros.ros.bench.helper import Helper
from yolact_ros.ros.bench.settings import TOPICS, NodeBenchSettings, SetUp, Stream
from yolact_ros.ros.bench.statuses import Status, StatusBoard
from yolact_ros.ros.processes.children import Child, ChildProcess, Children

_START = 900.0
"""Longest wait for the nodes, s: to compile a network takes minutes."""
_ANSWER = 60.0
_REST = 60.0
"""Longest wait for counters that stand still, s."""
_LEAD = 0.3
"""Seconds from the command to film to the first frame."""
_SETTLING = 0.5
"""Seconds for both ends of each subscription to know of each other."""
_LOOP_FRAMES = 12
_STEP = 0.05
_PATIENCE = 4.0
"""Seconds that the processes have to end before they are killed."""
_ERROR = 2
"""DiagnosticStatus.ERROR."""


@dataclass(frozen=True)
class Run:
    """What one run gave.

    Attributes:
        cameras: In the order of the settings.
        camera_stages: What each camera's status tells of times.
        node_stages: What each node's status tells of times.
        state: All values of the first node's status, such as "preset", "device", "precision".
        processor_cores: Mean number of cores that the nodes kept busy; None: nobody tells.
        others_processor_cores: The same of cameras and subscriber.
        memory: Of all nodes, as `process_use.memory_of`; None: nobody tells.
        gpu_use: As `GpuWatch.use`.
        gpu_memory_mb: Of all nodes on the GPU; None: nobody tells, or there is none.
        gpu_memory_by: "process", or "device" where only the growth of all in use is known.
        nice: The highest nice value of cameras and subscriber; the lower, the sooner they run.
    """

    cameras: tuple[CameraRun, ...]
    camera_stages: tuple[dict[str, dict[str, float]], ...]
    node_stages: tuple[dict[str, dict[str, float]], ...]
    state: Mapping[str, str]
    processor_cores: float | None
    others_processor_cores: float | None
    memory: dict[str, float] | None
    gpu_use: float | None
    gpu_memory_mb: float | None
    gpu_memory_by: str
    nice: int


def run_once(
    way: SetUp,
    settings: NodeBenchSettings,
    *,
    environment: Mapping[str, str],
    folder: Path,
    say: Callable[[str], None],
) -> Run:
    """Starts cameras, nodes and subscriber, measures, and ends them.

    Args:
        way: The nodes.
        settings: What is measured.
        environment: Variables of all processes besides those of this one.
        folder: For their logs.
        say: Called with a line about what goes on now.

    Raises:
        ValueError: A process ended, or the node cannot be used; the text says why.
    """
    board = StatusBoard()
    with Children(patience=_PATIENCE) as children:

        def check() -> None:
            if (child := children.ended()) is not None:
                last = child.last_lines(1).strip() or "it said nothing"
                raise InputError(f"{child.name} ended with exit code {child.exit_code}: {last}")
            for status in (one for statuses in board.of_nodes() for one in statuses):
                if status["level"] == _ERROR and status["values"]["state"] == "unconfigured":
                    raise InputError(f"the node is {status['message']}")

        viewer = _start_viewer(way, settings, environment, folder, board)
        children.add(viewer)
        cameras = []
        for place, stream in enumerate(way.streams):
            cameras.append(_start_camera(stream, place, settings, environment, folder))
            children.add(cameras[-1])
        helpers = [viewer, *cameras]
        nice = max(helper.answer(_START, check)["nice"] for helper in helpers)
        nodes = []
        gpu_before = process_use.gpu_memory(_expected_device(settings))
        for place, plan in enumerate(way.nodes):
            nodes.append(
                Child(
                    "yolact_node",
                    plan.parameters,
                    folder / f"node{place}.log",
                    arguments=plan.arguments,
                    environment=environment,
                )
            )
            children.add(nodes[-1])
        say("waiting until it is ready")
        _wait_until_ready(way, settings, viewer, cameras, board, check)
        if settings.warm_up:
            say(f"warming up for {settings.warm_up:g} s")
            _order(cameras, settings, settings.warm_up)
            _filmed(cameras, settings.warm_up, check)
        before = _counts_at_rest(way, board, check)
        _results(viewer, check)
        device = board.of_nodes()[0][-1]["values"]["device"]
        say(f"measuring for {settings.seconds:g} s")
        with process_use.GpuWatch(device) as gpu:
            time.sleep(_order(cameras, settings, settings.seconds))
            begin = time.monotonic()
            used, others = _processor(nodes), _processor(helpers)
            filmed = _filmed(cameras, settings.seconds, check)
            elapsed = time.monotonic() - begin
            used_after, others_after = _processor(nodes), _processor(helpers)
        # The system walks through all pages for it: not while the nodes are at work.
        after = _counts_at_rest(way, board, check)
        memory = _memory(nodes)
        gpu_memory, gpu_memory_by = _gpu_memory(nodes, device, gpu_before)
        arrivals = _results(viewer, check)
        newest = [board.of_topic(stream.image)[-1]["values"] for stream in way.streams]
        whole = [statuses[-1]["values"] for statuses in board.of_nodes()]
    runs = []
    for place, film in enumerate(filmed):
        mine = arrivals[place * len(settings.topics) :][: len(settings.topics)]
        runs.append(
            CameraRun(
                stamps=np.array(film["stamps"], dtype=np.int64),
                skipped=film["skipped"],
                counts={name: value - before[place][name] for name, value in after[place].items()},
                arrivals=dict(zip(settings.topics, mine, strict=True)),
            )
        )
    return Run(
        cameras=tuple(runs),
        camera_stages=tuple(stages_of(values) for values in newest),
        node_stages=tuple(stages_of(values) for values in whole),
        state=whole[0],
        processor_cores=_cores(used, used_after, elapsed),
        others_processor_cores=_cores(others, others_after, elapsed),
        memory=memory,
        gpu_use=gpu.use,
        gpu_memory_mb=gpu_memory,
        gpu_memory_by=gpu_memory_by,
        nice=nice,
    )


def _start_viewer(
    way: SetUp,
    settings: NodeBenchSettings,
    environment: Mapping[str, str],
    folder: Path,
    board: StatusBoard,
) -> Helper:
    topics = [
        (stream.results + topic, TOPICS[topic])
        for stream in way.streams
        for topic in settings.topics
    ]
    return Helper(
        "yolact_ros.ros.bench.viewer",
        {"topics": topics},
        folder / "viewer.log",
        environment,
        name="the subscriber",
        on_line=board.take,
    )


def _start_camera(
    stream: Stream,
    place: int,
    settings: NodeBenchSettings,
    environment: Mapping[str, str],
    folder: Path,
) -> Helper:
    camera = stream.camera
    return Helper(
        "yolact_ros.ros.bench.camera",
        {
            "name": camera.name,
            "topic": stream.image,
            "size": camera.size,
            "rate": camera.rate,
            "seed": place,
            "loop_frames": _LOOP_FRAMES,
            "transport": settings.transport,
            "reliability": settings.reliability,
        },
        folder / f"{camera.name}.log",
        environment,
        name=f"camera {camera.name}",
    )


def _wait_until_ready(
    way: SetUp,
    settings: NodeBenchSettings,
    viewer: Helper,
    cameras: Sequence[Helper],
    board: StatusBoard,
    check: Callable[[], None],
) -> None:
    """Waits until every node is active and all have found each other."""
    deadline = time.monotonic() + _START
    reliability = settings.reliability.replace("_", " ")
    while not (
        all(_is_served(board.of_topic(stream.image), reliability) for stream in way.streams)
        and all(_ask(viewer, "publishers", check)["publishers"])
        and all(_ask(camera, "subscribers", check)["subscribers"] for camera in cameras)
    ):
        check()
        if time.monotonic() > deadline:
            raise InputError(f"the node: expected to be active within {_START:g} s")
        time.sleep(_STEP)
    time.sleep(_SETTLING)


def _is_served(statuses: Sequence[Status], reliability: str) -> bool:
    if not statuses:
        return False
    values = statuses[-1]["values"]
    return (
        values["state"] == "active"
        and values["publishers"] == "1"
        and values["reliability"] == reliability
    )


def _ask(helper: Helper, command: str, check: Callable[[], None]) -> Mapping[str, Any]:
    helper.say(command)
    return helper.answer(_ANSWER, check)


def _order(cameras: Sequence[Helper], settings: NodeBenchSettings, seconds: float) -> float:
    """Tells all cameras to film; returns the seconds until the first frame.

    Cameras of one rate are spread evenly over the period, as nobody synchronises those of a robot.
    """
    start = time.time_ns() + int(_LEAD * 1e9)
    for place, (helper, camera) in enumerate(zip(cameras, settings.cameras, strict=True)):
        phase = place / len(cameras) / camera.rate
        frames = max(1, round(seconds * camera.rate))
        helper.say({"frames": frames, "start_ns": start + int(phase * 1e9)})
    return _LEAD


def _filmed(
    cameras: Sequence[Helper], seconds: float, check: Callable[[], None]
) -> list[Mapping[str, Any]]:
    return [camera.answer(seconds + _ANSWER, check) for camera in cameras]


def _counts_at_rest(
    way: SetUp, board: StatusBoard, check: Callable[[], None]
) -> list[dict[str, int]]:
    """Each camera's counters, once they stand still and the node is done with every frame."""
    board.forget()
    deadline = time.monotonic() + _REST
    while True:
        check()
        histories = [
            [counts_of(status["values"]) for status in board.of_topic(stream.image)]
            for stream in way.streams
        ]
        settled = all(
            len(history) > 1 and history[-1] == history[-2] and is_settled(history[-1])
            for history in histories
        )
        told = all(histories) and len(board.of_nodes()) == len(way.nodes)
        late = time.monotonic() > deadline
        if told and (settled or late):
            return [history[-1] for history in histories]
        if late:
            raise InputError(f"/diagnostics: expected every camera's within {_REST:g} s")
        time.sleep(_STEP)


def _results(viewer: Helper, check: Callable[[], None]) -> list[Arrivals]:
    """Results of each topic since the last call."""
    answer = _ask(viewer, "results", check)
    return [Arrivals.from_turns(values) for values in answer["results"]]


def _processor(children: Sequence[ChildProcess]) -> list[float | None]:
    return [process_use.processor_seconds(child.pid) for child in children]


def _cores(
    before: Sequence[float | None], after: Sequence[float | None], seconds: float
) -> float | None:
    used = 0.0
    for begin, end in zip(before, after, strict=True):
        if begin is None or end is None:
            return None
        used += end - begin
    return used / seconds


def _memory(nodes: Sequence[ChildProcess]) -> dict[str, float] | None:
    """The sum over the nodes."""
    total: dict[str, float] = {}
    for node in nodes:
        memory = process_use.memory_of(node.pid)
        if memory is None:
            return None
        for name, value in memory.items():
            total[name] = total.get(name, 0.0) + value
    return total


def _expected_device(settings: NodeBenchSettings) -> str:
    """Where the network may run, before a node says where it does."""
    device = settings.parameters.get("device", "auto")
    return "cuda" if device == "auto" else device


def _gpu_memory(
    nodes: Sequence[ChildProcess], device: str, before: float | None
) -> tuple[float | None, str]:
    used = process_use.gpu_memory_of([node.pid for node in nodes], device)
    if used is not None:
        return used, "process"
    now = process_use.gpu_memory(device)
    return (None if now is None or before is None else now - before), "device"
