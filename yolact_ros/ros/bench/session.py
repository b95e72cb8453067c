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
from diagnostic_msgs.msg import DiagnosticStatus

from yolact_ros.errors import InputError
from yolact_ros.ros.bench import process_use
from yolact_ros.ros.bench.counts import CameraRun, counts_of, is_settled, stages_of
from yolact_ros.ros.bench.helper import Helper
from yolact_ros.ros.bench.process_use import processor_seconds
from yolact_ros.ros.bench.settings import Arrangement, NodeBenchSettings
from yolact_ros.ros.bench.viewer import TOPICS, Viewer
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


@dataclass(frozen=True)
class Run:
    """What a session measured; a number that is not known is NaN.

    Attributes:
        cameras: In the order of the settings.
        stages: Times in each node's status.
        state: All values of the first node's status, such as "preset", "device", "precision".
        use: "batch_size" (of several cameras), "processor_cores" that the nodes kept busy and
            "others_processor_cores" that cameras and subscriber did, "gpu_use" (0 to 1), and
            "gpu_memory_mb", by which the memory in use on the GPU has grown.
        memory: Sums over all nodes, as `process_use.memory_of`.
    """

    cameras: tuple[CameraRun, ...]
    stages: tuple[dict[str, dict[str, float]], ...]
    state: Mapping[str, str]
    use: Mapping[str, float]
    memory: Mapping[str, float]


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
        topics = {
            stream.results + topic: TOPICS[topic]
            for stream in self._arrangement.streams
            for topic in self._settings.topics
        }
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
        device = self._settings.parameters.get("device", "auto")
        self._gpu_before = process_use.gpu_memory("cuda" if device == "auto" else device)
        for place, plan in enumerate(self._arrangement.nodes):
            log = logs / f"node{place}.log"
            node = Child("yolact_node", plan.parameters, log, arguments=plan.arguments)
            self._children.add(node)
            self._nodes.append(node.pid)
        self._say(f"{self._arrangement.name}: waiting until it is ready")
        self._wait_for(self._is_served, _START, "the node: expected to be active")
        for camera in self._cameras:
            camera.answer(_ANSWER, self._check)  # that it has a subscriber
        time.sleep(_SETTLING)

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
        self._use = {name: (after[name] - before[name]) / elapsed for name in groups}
        self._use["gpu_use"] = float(np.mean(gpu_use)) if gpu_use else np.nan

    def _collect(self) -> Run:
        """Wait until the nodes are done with every frame, and put all together."""
        counts, topics = self._counts_at_rest(), self._settings.topics
        # The system walks through all pages for it: not while the nodes are at work.
        memory = process_use.memory_of(self._nodes)
        self._use["gpu_memory_mb"] = process_use.gpu_memory(self._device) - self._gpu_before
        nodes = [statuses[-1].values for statuses in self._viewer.of_nodes()]
        self._use["batch_size"] = float(nodes[0].get("frames in a batch (mean)", "nan"))
        results = self._viewer.take_results()
        cameras = zip(
            self._arrangement.streams, self._films, self._counts_before, counts, strict=True
        )
        return Run(
            cameras=tuple(
                CameraRun(
                    stamps=np.array(film["stamps"], dtype=np.int64),
                    skipped=film["skipped"],
                    counts={name: after[name] - before[name] for name in after},
                    arrivals={name: results[stream.results + name] for name in topics},
                )
                for stream, film, before, after in cameras
            ),
            stages=tuple(map(stages_of, nodes)),
            state=nodes[0],
            use=self._use,
            memory=memory,
        )

    def _check(self) -> None:
        """Raise an error if there is no use in waiting."""
        self._signals.check()
        self._viewer.check()
        if (child := self._children.ended()) is not None:
            last = child.last_lines(1).strip() or "it said nothing"
            raise InputError(f"{child.name} ended with exit code {child.exit_code}: {last}")
        for status in (one for statuses in self._viewer.of_nodes() for one in statuses):
            if status.level == DiagnosticStatus.ERROR and status.values["state"] == "unconfigured":
                raise InputError(f"the node is {status.message}")

    def _wait_for(self, condition: Callable[[], bool], seconds: float, expected: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self._check()
            if time.monotonic() > deadline:
                raise InputError(f"{expected} within {seconds:g} s")
            time.sleep(_STEP)

    def _is_served(self) -> bool:
        """Whether every camera's node is active and has found it, and its results are found."""
        expected = {
            "state": "active",
            "publishers": "1",
            "reliability": self._settings.reliability.replace("_", " "),
        }
        histories = [self._viewer.of_topic(stream.image) for stream in self._arrangement.streams]
        return self._viewer.is_found() and all(
            history and expected.items() <= history[-1].values.items() for history in histories
        )

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
        """Each camera's counters, once they stand still and the node is done with every frame.

        What does not come to rest is taken as it is: the sums tell of it.
        """
        self._viewer.forget()
        begin = time.monotonic()
        histories: list[list[dict[str, int]]] = []

        def are_at_rest() -> bool:
            histories[:] = [
                [counts_of(status.values) for status in self._viewer.of_topic(stream.image)]
                for stream in self._arrangement.streams
            ]
            all_told = len(self._viewer.of_nodes()) == len(self._arrangement.nodes)
            late = time.monotonic() - begin > _REST
            return all_told and all(histories) and (late or all(map(_stands_still, histories)))

        self._wait_for(are_at_rest, _REST + _ANSWER, "/diagnostics: expected every camera's")
        return [history[-1] for history in histories]


def _stands_still(history: Sequence[Mapping[str, int]]) -> bool:
    return len(history) > 1 and history[-1] == history[-2] and is_settled(history[-1])
