# SPDX-License-Identifier: Apache-2.0
"""One storm: rounds of everything at once, each with a calm in which everything works again."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.ros.bench.counts import Arrivals, counts_of, is_settled
from yolact_ros.ros.bench.recorder import Recorder
from yolact_ros.ros.bench.settings import Arrangement, NodeBenchSettings
from yolact_ros.ros.bench.stand import Stand
from yolact_ros.ros.bench.storm.director import Director
from yolact_ros.ros.bench.storm.plan import plan
from yolact_ros.ros.signals import HeldSignals

_ROUND = 30.0
"""Seconds of a round, about."""
_CALM = 8.0
"""Seconds of it that are left for the calm."""
_RECOVERY = 30.0
"""Longest time until all cameras are served again, s; a killed publisher is known for 5 s."""
_STEP = 0.05
_LOG_LINES = 15
_FAULTS = ("Traceback", "error in a callback", "[FATAL]")
"""What a node that is at ease never writes into its log."""


class StormSession:
    """A storm with new processes.

    Args:
        arrangement: Of one node.
        settings: What is measured; `storm` seconds.
        say: Called with a line about what goes on now.
        signals: Looked at in every wait.
        recorder: Records the node.

    Attributes:
        events: What happened: "at_s" (of the recorded time) and "what", in words.
        problems: What the node should not have done, in words.
        arrivals: Results by topic.
    """

    def __init__(
        self,
        arrangement: Arrangement,
        settings: NodeBenchSettings,
        *,
        say: Callable[[str], None],
        signals: HeldSignals,
        recorder: Recorder,
    ) -> None:
        self._arrangement = arrangement
        self._settings = settings
        self._say = say
        self._recorder = recorder
        self._stand = Stand(arrangement, settings, signals=signals, recorder=recorder)
        self._begin = time.monotonic()
        self._seconds = settings.storm or 0.0
        self.events: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.arrivals: dict[str, Arrivals] = {}

    def run(self) -> None:
        """Start all, storm, end all.

        A node that ends, does not answer or does not recover ends the storm, and is a problem.

        Raises:
            InputError: The node did not begin to work.
            KeyboardInterrupt: Ctrl-C or SIGTERM; the attributes hold what there is so far.
        """
        with self._stand:
            director = Director(self._stand, self._arrangement, self._note)
            director.start_cameras()
            self._stand.start_nodes()
            self._say(f"{self._arrangement.name}: waiting until it is ready")
            self._stand.await_nodes()
            director.remember_parameters()
            self._begin = time.monotonic()
            self._stand.viewer.take_results()
            try:
                self._storm(director)
            except InputError as error:
                last = self._stand.nodes[0].last_lines(_LOG_LINES)
                self.problems.append(f"{error}; the node's last lines:\n{last}")
            finally:
                self.arrivals = self._stand.viewer.take_results()
                self.problems += director.problems
                self.problems += self._faults()

    def _storm(self, director: Director) -> None:
        rounds = max(1, round(self._seconds / _ROUND))
        length = self._seconds / rounds
        for number in range(rounds):
            self._note(f"round {number + 1} of {rounds}")
            self._rage(director, number, max(length / 2, length - _CALM))
            self._calm(director, number + 1)

    def _rage(self, director: Director, number: int, seconds: float) -> None:
        """Let a round's events happen."""
        transport = self._settings.transport
        cameras = [camera.name for camera in self._settings.cameras]
        events = plan(self._settings.seed, number, seconds, cameras=cameras, transport=transport)
        self._stand.viewer.forget()
        begin = time.monotonic()
        while (elapsed := time.monotonic() - begin) < seconds:
            self._stand.check()
            director.look()
            while events and events[0].at_s <= elapsed:
                director.perform(events.pop(0))
            time.sleep(_STEP)

    def _calm(self, director: Director, number: int) -> None:
        """Put all back, and see that everything works and every frame is in one counter."""
        self._note("calm")
        self._stand.viewer.forget()
        director.calm({"encoding": "rgb8", "reliability": self._settings.reliability})
        expected = f"round {number}: expected every camera to be served again"
        self._stand.wait_for(self._stand.is_served, _RECOVERY, expected)
        before = self._processed()
        self._stand.wait_for(
            lambda: all(map(operator.gt, self._processed(), before)), _RECOVERY, expected
        )
        director.film(False)
        for camera, counts in zip(
            self._settings.cameras, self._stand.counts_at_rest(), strict=True
        ):
            if not is_settled(counts):
                self.problems.append(f"round {number}: {camera.name}: sums do not close: {counts}")
        # Inactive: else the memory tells how large the last images were, which are kept room for.
        director.enable(False)
        self._recorder.sample(at_rest=True)
        director.enable(True)
        director.film(True)

    def _processed(self) -> list[int]:
        """How many frames of each camera were processed, as it was told last."""
        histories = (self._stand.viewer.of_topic(each.image) for each in self._arrangement.streams)
        return [counts_of(history[-1].values)["processed"] for history in histories]

    def _faults(self) -> list[str]:
        """The lines of the node's log that no node at ease writes."""
        lines = self._stand.nodes[0].log.read_text(errors="replace").splitlines()
        return [line for line in lines if any(fault in line for fault in _FAULTS)]

    def _note(self, what: str) -> None:
        at = time.monotonic() - self._begin
        self._say(f"{at:8.2f} s  {what}")
        self.events.append({"at_s": round(at, 2), "what": what})
