# SPDX-License-Identifier: Apache-2.0
"""One session of `yolact-ros bench node`: every process from its start to its end."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolact_ros.errors import InputError
from yolact_ros.ros.bench import process_use
from yolact_ros.ros.bench.counts import Arrivals, CameraRun, counts_of, is_settled, stages_of
from yolact_ros.ros.bench.helper import Helper
from yolact_ros.ros.bench.process_use import processor_seconds
from yolact_ros.ros.bench.settings import TOPICS, Arrangement, NodeBenchSettings, Stream
from yolact_ros.ros.bench.viewer import Viewer
from yolact_ros.ros.processes.children import Child, Children
from yolact_ros.ros.signals import HeldSignals

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
    """What a session measured; a value that is not known is None.

    Attributes:
        cameras: In the order of the settings.
        stages: Times in each node's status.
        state: All values of the first node's status, such as "preset", "device", "precision".
        use: "batch_size" (of several cameras), "processor_cores" that the nodes kept busy and
            "others_processor_cores" that cameras and subscriber did, "gpu_use" (0 to 1), and
            "gpu_memory_mb" of all nodes.
        memory: Sums over all nodes, as `process_use.memory_of`.
        gpu_memory_by: "process", or "device" where only the growth of all in use is known.
    """

    cameras: tuple[CameraRun, ...]
    stages: tuple[dict[str, dict[str, float]], ...]
    state: Mapping[str, str]
    use: Mapping[str, float | None]
    memory: dict[str, float] | None
    gpu_memory_by: str


class Session:
    """One measurement of one arrangement, with new processes.

    Args:
        arrangement: The nodes.
        settings: What is measured.
        say: Called with a line about what goes on now.
        signals: Looked at in every wait: Ctrl-C and SIGTERM become a KeyboardInterrupt there.
    """

    def __init__(
        self,
        arrangement: Arrangement,
        settings: NodeBenchSettings,
        *,
        say: Callable[[str], None],
        signals: HeldSignals,
    ) -> None:
        self._arrangement = arrangement
        self._settings = settings
        self._say = say
        self._signals = signals
        self._cameras: list[Helper] = []
        self._nodes: list[int] = []

    def run(self) -> Run:
        """Start all, warm up, measure, end all, and return what was found.

        Raises:
            InputError: A process ended, or the node cannot be used.
        """
        topics = [
            (stream.results + topic, TOPICS[topic])
            for stream in self._arrangement.streams
            for topic in self._settings.topics
        ]
        with (
            tempfile.TemporaryDirectory() as folder,
            Children(_PATIENCE) as self._children,
            Viewer(topics) as self._viewer,
        ):
            self._start(Path(folder))
            self._warm_up()
            self._measure()
            return self._collect()

    def _start(self, logs: Path) -> None:
        """Start cameras and nodes, and wait until all have found each other."""
        for place, stream in enumerate(self._arrangement.streams):
            name = stream.camera.name
            settings = {
                **asdict(stream.camera),
                "topic": stream.image,
                "seed": place,
                "loop_frames": _LOOP_FRAMES,
                "transport": self._settings.transport,
                "reliability": self._settings.reliability,
            }
            log = logs / f"{name}.log"
            camera = Helper("yolact_ros.ros.bench.camera", settings, log, name=f"camera {name}")
            self._children.add(camera)
            self._cameras.append(camera)
        for camera in self._cameras:
            camera.answer(_START, self._check)
        device = self._settings.parameters.get("device", "auto")
        self._gpu_before = process_use.gpu_memory("cuda" if device == "auto" else device)
        for place, plan in enumerate(self._arrangement.nodes):
            log = logs / f"node{place}.log"
            node = Child("yolact_node", plan.parameters, log, arguments=plan.arguments)
            self._children.add(node)
            self._nodes.append(node.pid)
        self._say(f"{self._arrangement.name}: waiting until it is ready")
        self._wait_until_ready()

    def _warm_up(self) -> None:
        """Let the cameras film as in the measurement, then note where the counters stand."""
        seconds = self._settings.warm_up_s
        if seconds:
            self._say(f"{self._arrangement.name}: warming up for {seconds:g} s")
            self._order(seconds)
            self._await_films(seconds)
        self._counts_before = self._counts_at_rest()
        self._viewer.take_results()
        self._device = self._viewer.of_nodes()[0][-1].values["device"]

    def _measure(self) -> None:
        """Let the cameras film, and record how much of the machine is used meanwhile."""
        seconds = self._settings.seconds
        self._say(f"{self._arrangement.name}: measuring for {seconds:g} s")
        others = [os.getpid(), *(camera.pid for camera in self._cameras)]
        groups = {"processor_cores": self._nodes, "others_processor_cores": others}
        with process_use.gpu_watched(self._device) as gpu_use:
            self._order(seconds)
            time.sleep(_LEAD)
            begin = time.monotonic()
            before = {name: processor_seconds(pids) for name, pids in groups.items()}
            self._films = self._await_films(seconds)
            elapsed = time.monotonic() - begin
            after = {name: processor_seconds(pids) for name, pids in groups.items()}
        self._use: dict[str, float | None] = {}
        for name in groups:
            begun, ended = before[name], after[name]
            self._use[name] = None if begun is None or ended is None else (ended - begun) / elapsed
        self._use["gpu_use"] = float(np.mean(gpu_use)) if gpu_use else None

    def _collect(self) -> Run:
        """Wait until the nodes are done with every frame, and put all together."""
        counts = self._counts_at_rest()
        # The system walks through all pages for it: not while the nodes are at work.
        memory = process_use.memory_of(self._nodes)
        self._use["gpu_memory_mb"], gpu_memory_by = self._gpu_memory()
        nodes = [statuses[-1].values for statuses in self._viewer.of_nodes()]
        batch_size = nodes[0].get("frames in a batch (mean)")
        self._use["batch_size"] = None if batch_size is None else float(batch_size)
        return Run(
            cameras=self._camera_runs(counts, self._viewer.take_results()),
            stages=tuple(map(stages_of, nodes)),
            state=nodes[0],
            use=self._use,
            memory=memory,
            gpu_memory_by=gpu_memory_by,
        )

    def _check(self) -> None:
        """Raise an error if there is no use in waiting."""
        self._signals.check()
        self._viewer.check()
        if (child := self._children.ended()) is not None:
            last = child.last_lines(1).strip() or "it said nothing"
            raise InputError(f"{child.name} ended with exit code {child.exit_code}: {last}")
        for status in (one for statuses in self._viewer.of_nodes() for one in statuses):
            if status.level == _ERROR and status.values["state"] == "unconfigured":
                raise InputError(f"the node is {status.message}")

    def _wait_until_ready(self) -> None:
        """Wait until every node is active and all have found each other."""
        deadline = time.monotonic() + _START
        while not (
            all(self._is_served(stream) for stream in self._arrangement.streams)
            and self._viewer.is_found()
            and all(map(self._is_seen, self._cameras))
        ):
            self._check()
            if time.monotonic() > deadline:
                raise InputError(f"the node: expected to be active within {_START:g} s")
            time.sleep(_STEP)
        time.sleep(_SETTLING)

    def _is_served(self, stream: Stream) -> bool:
        statuses = self._viewer.of_topic(stream.image)
        expected = {
            "state": "active",
            "publishers": "1",
            "reliability": self._settings.reliability.replace("_", " "),
        }
        return bool(statuses) and expected.items() <= statuses[-1].values.items()

    def _is_seen(self, camera: Helper) -> bool:
        camera.say("subscribers")
        return bool(camera.answer(_ANSWER, self._check)["subscribers"])

    def _order(self, seconds: float) -> None:
        """Tell all cameras to film, from `_LEAD` seconds from now on.

        Cameras of one rate are spread evenly over the period, as nobody synchronises those of a
        robot.
        """
        start = time.time_ns() + int(_LEAD * 1e9)
        for place, helper in enumerate(self._cameras):
            rate = self._settings.cameras[place].rate_hz
            phase = place / len(self._cameras) / rate
            frames = max(1, round(seconds * rate))
            helper.say({"frames": frames, "start_ns": start + int(phase * 1e9)})

    def _await_films(self, seconds: float) -> tuple[Mapping[str, Any], ...]:
        return tuple(camera.answer(seconds + _ANSWER, self._check) for camera in self._cameras)

    def _counts_at_rest(self) -> list[dict[str, int]]:
        """Each camera's counters, once they stand still and the node is done with every frame."""
        self._viewer.forget()
        deadline = time.monotonic() + _REST
        while True:
            self._check()
            histories = [
                [counts_of(status.values) for status in self._viewer.of_topic(stream.image)]
                for stream in self._arrangement.streams
            ]
            nodes_told = len(self._viewer.of_nodes()) == len(self._arrangement.nodes)
            late = time.monotonic() > deadline
            if nodes_told and all(histories) and (late or all(map(_stands_still, histories))):
                return [history[-1] for history in histories]
            if late:
                raise InputError(f"/diagnostics: expected every camera's within {_REST:g} s")
            time.sleep(_STEP)

    def _camera_runs(
        self, counts: Sequence[Mapping[str, int]], results: Sequence[Arrivals]
    ) -> tuple[CameraRun, ...]:
        topics = self._settings.topics
        runs = []
        for place, film in enumerate(self._films):
            before = self._counts_before[place]
            mine = results[place * len(topics) :][: len(topics)]
            runs.append(
                CameraRun(
                    stamps=np.array(film["stamps"], dtype=np.int64),
                    skipped=film["skipped"],
                    counts={name: count - before[name] for name, count in counts[place].items()},
                    arrivals=dict(zip(topics, mine, strict=True)),
                )
            )
        return tuple(runs)

    def _gpu_memory(self) -> tuple[float | None, str]:
        used = process_use.gpu_memory_of(self._nodes, self._device)
        if used is not None:
            return used, "process"
        now, before = process_use.gpu_memory(self._device), self._gpu_before
        return (None if now is None or before is None else now - before), "device"


def _stands_still(history: Sequence[Mapping[str, int]]) -> bool:
    return len(history) > 1 and history[-1] == history[-2] and is_settled(history[-1])
