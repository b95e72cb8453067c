# SPDX-License-Identifier: Apache-2.0
"""Nodes, cameras and a subscriber of `yolact-ros bench node`, from their start to their end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from yolact_ros.errors import InputError
from yolact_ros.ros.bench.counts import counts_of, is_settled
from yolact_ros.ros.bench.helper import Helper
from yolact_ros.ros.bench.recorder import Recorder
from yolact_ros.ros.bench.settings import Arrangement, NodeBenchSettings, Stream
from yolact_ros.ros.bench.viewer import TOPICS, Viewer
from yolact_ros.ros.processes.children import Child, Children
from yolact_ros.ros.signals import HeldSignals

ANSWER = 60.0
"""Longest wait for an answer of a process, s."""
_START = 900.0
"""Longest wait for the nodes, s: to compile a network takes minutes."""
_REST = 60.0
"""Longest wait for counters that stand still, s."""
_STEP = 0.05
_PATIENCE = 4.0
"""Seconds that the processes have to end before they are killed."""


class Stand:
    """Processes that work together; all have ended when the `with` block ends.

    Args:
        arrangement: The nodes.
        settings: What is measured.
        signals: Looked at in every wait: Ctrl-C and SIGTERM become a KeyboardInterrupt there.
        recorder: Records the first node, in every wait.

    Attributes:
        viewer: The subscriber.
        nodes: The running nodes, in the order of the arrangement.
    """

    viewer: Viewer

    def __init__(
        self,
        arrangement: Arrangement,
        settings: NodeBenchSettings,
        *,
        signals: HeldSignals,
        recorder: Recorder | None = None,
    ) -> None:
        self._arrangement = arrangement
        self._settings = settings
        self._signals = signals
        self._recorder = recorder
        self._helpers = 0
        self.nodes: list[Child] = []

    def __enter__(self) -> Stand:
        topics = {
            stream.results + topic: TOPICS[topic]
            for stream in self._arrangement.streams
            for topic in self._settings.topics
        }
        with ExitStack() as stack:
            self._logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._children = stack.enter_context(Children(_PATIENCE))
            self.viewer = stack.enter_context(Viewer(topics, self._recorder))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def start_helper(self, module: str, settings: Mapping[str, Any], name: str) -> Helper:
        """Start a program that is talked to through a pipe.

        Args:
            module: Full name.
            settings: What it gets first.
            name: Its name in errors.
        """
        self._helpers += 1
        log = self._logs / f"helper{self._helpers}.log"
        helper = Helper(module, settings, log, name=name)
        self._children.add(helper)
        return helper

    def end_helper(self, helper: Helper, *, kill: bool) -> None:
        """End it, or kill it, and wait for that."""
        if kill:
            helper.kill()
        else:
            helper.tell_to_end()
            helper.wait(_PATIENCE)
        self._children.give_up(helper)

    def camera_settings(self, stream: Stream, loop_frames: int) -> dict[str, Any]:
        """What a camera's program needs to know to film a stream, for as many frames."""
        return {
            **asdict(stream.camera),
            "topic": stream.image,
            "seed": self._arrangement.streams.index(stream),
            "loop_frames": loop_frames,
            "transport": self._settings.transport,
            "reliability": self._settings.reliability,
        }

    def start_nodes(self) -> None:
        """Start the nodes."""
        for place, plan in enumerate(self._arrangement.nodes):
            log = self._logs / f"node{place}.log"
            node = Child("yolact_node", plan.parameters, log, arguments=plan.arguments)
            self._children.add(node)
            self.nodes.append(node)

    def await_nodes(self) -> None:
        """Wait until all serve their cameras."""
        self.wait_for(self.is_served, _START, "the node: expected to be active")
        if self._recorder is not None:
            self._recorder.begin(self.nodes[0].pid)

    def check(self) -> None:
        """Raise an error if there is no use in waiting, and record what goes on."""
        self._signals.check()
        self.viewer.check()
        if self._recorder is not None:
            self._recorder.sample_if_due()
        if (child := self._children.ended()) is not None:
            last = child.last_lines(1).strip() or "it said nothing"
            raise InputError(f"{child.name} ended with exit code {child.exit_code}: {last}")
        for status in (statuses[-1] for statuses in self.viewer.of_nodes()):
            if status.level == DiagnosticStatus.ERROR and status.values["state"] == "unconfigured":
                raise InputError(f"the node is {status.message}")

    def wait_for(self, condition: Callable[[], bool], seconds: float, expected: str) -> None:
        """Wait until a condition holds.

        Raises:
            InputError: It does not within the time, or there is no use in waiting.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise InputError(f"{expected} within {seconds:g} s")
            time.sleep(_STEP)

    def is_served(self) -> bool:
        """Whether every camera's node is active and has found it, and its results are found."""
        expected = {
            "state": "active",
            "publishers": "1",
            "reliability": self._settings.reliability.replace("_", " "),
        }
        histories = [self.viewer.of_topic(stream.image) for stream in self._arrangement.streams]
        return self.viewer.is_found() and all(
            history and expected.items() <= history[-1].values.items() for history in histories
        )

    def counts_at_rest(self) -> list[dict[str, int]]:
        """Each camera's counters, once they stand still and the node is done with every frame.

        What does not come to rest is taken as it is: the sums tell of it.
        """
        self.viewer.forget()
        begin = time.monotonic()
        histories: list[list[dict[str, int]]] = []

        def are_at_rest() -> bool:
            histories[:] = [
                [counts_of(status.values) for status in self.viewer.of_topic(stream.image)]
                for stream in self._arrangement.streams
            ]
            all_told = len(self.viewer.of_nodes()) == len(self._arrangement.nodes)
            late = time.monotonic() - begin > _REST
            return all_told and all(histories) and (late or all(map(_stands_still, histories)))

        self.wait_for(are_at_rest, _REST + ANSWER, "/diagnostics: expected every camera's")
        return [history[-1] for history in histories]


def _stands_still(history: list[dict[str, int]]) -> bool:
    return len(history) > 1 and history[-1] == history[-2] and is_settled(history[-1])
