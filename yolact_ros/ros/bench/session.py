# SPDX-License-Identifier: Apache-2.0
"""One session of `yolact-ros bench node`: every process from its start to its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolact_ros.ros.bench import process_use
from yolact_ros.ros.bench.counts import Arrivals, CameraRun, stages_of
from yolact_ros.ros.bench.helper import Helper
from yolact_ros.ros.bench.process_use import processor_seconds
from yolact_ros.ros.bench.recorder import Recorder
from yolact_ros.ros.bench.settings import Arrangement, NodeBenchSettings
from yolact_ros.ros.bench.stand import ANSWER, Stand
from yolact_ros.ros.signals import HeldSignals

_LEAD = 0.3
"""Seconds from the command to film to the first frame."""
_SETTLING = 0.5
"""Seconds for both ends of each subscription to know of each other."""
_LOOP_FRAMES = 12


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
        recorder: Records the first node while it is measured.

    Attributes:
        arrivals: Results by topic since the warm-up, also of a measurement that was interrupted.
    """

    def __init__(
        self,
        arrangement: Arrangement,
        settings: NodeBenchSettings,
        *,
        say: Callable[[str], None],
        signals: HeldSignals,
        recorder: Recorder | None = None,
    ) -> None:
        self._arrangement = arrangement
        self._settings = settings
        self._say = say
        self._stand = Stand(arrangement, settings, signals=signals, recorder=recorder)
        self.arrivals: dict[str, Arrivals] = {}
        self._cameras: list[Helper] = []
        self._nodes: list[int] = []

    def run(self) -> Run:
        """Start all, warm up, measure, end all, and return what was found.

        Raises:
            InputError: A process ended, or the node cannot be used.
        """
        with self._stand:
            try:
                self._start()
                self._warm_up()
                self._measure()
                return self._collect()
            except KeyboardInterrupt:
                self.arrivals = self._stand.viewer.take_results()
                raise

    def _start(self) -> None:
        """Start cameras and nodes, and wait until all have found each other."""
        for stream in self._arrangement.streams:
            settings = self._stand.camera_settings(stream, _LOOP_FRAMES)
            name = f"camera {stream.camera.name}"
            self._cameras.append(
                self._stand.start_helper("yolact_ros.ros.bench.camera", settings, name)
            )
        device = self._settings.parameters.get("device", "auto")
        self._gpu_before = process_use.gpu_memory("cuda" if device == "auto" else device)
        self._stand.start_nodes()
        self._nodes = [node.pid for node in self._stand.nodes]
        self._say(f"{self._arrangement.name}: waiting until it is ready")
        self._stand.await_nodes()
        for camera in self._cameras:
            camera.answer(ANSWER, self._stand.check)  # that it has a subscriber
        time.sleep(_SETTLING)

    def _warm_up(self) -> None:
        """Let the cameras film as in the measurement, then note where the counters stand."""
        seconds = self._settings.warm_up_s
        if seconds:
            self._say(f"{self._arrangement.name}: warming up for {seconds:g} s")
            self._order(seconds)
            self._await_films(seconds)
        self._counts_before = self._stand.counts_at_rest()
        self._stand.viewer.take_results()
        self._device = self._stand.viewer.of_nodes()[0][-1].values["device"]

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
        counts, topics = self._stand.counts_at_rest(), self._settings.topics
        # The system walks through all pages for it: not while the nodes are at work.
        memory = process_use.memory_of(self._nodes)
        self._use["gpu_memory_mb"] = process_use.gpu_memory(self._device) - self._gpu_before
        nodes = [statuses[-1].values for statuses in self._stand.viewer.of_nodes()]
        self._use["batch_size"] = float(nodes[0].get("frames in a batch (mean)", "nan"))
        results = self.arrivals = self._stand.viewer.take_results()
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
        return tuple(camera.answer(seconds + ANSWER, self._stand.check) for camera in self._cameras)
