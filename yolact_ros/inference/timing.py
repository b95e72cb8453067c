# SPDX-License-Identifier: Apache-2.0
"""How long the stages of a call take: `StageClock` on the host, `Marks` on a GPU."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

import torch

STAGES = ("upload", "preprocess", "network", "decode", "masks", "download")
"""The stages of a call, in order. A CPU has neither uploads nor downloads."""


class StageClock:
    """Wall time of consecutive stages, with a GPU's queue emptied between them."""

    def __init__(self, device: torch.device) -> None:
        self.milliseconds: dict[str, float] = {}
        self._device = device
        self._begin = time.perf_counter()

    def record(self, stage: str) -> None:
        """End a stage, and begin the next one."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.add(stage, (now - self._begin) * 1000)
        self._begin = now

    def add(self, stage: str, milliseconds: float) -> None:
        """Add to a stage's time, and begin the next one now."""
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + milliseconds
        self._begin = time.perf_counter()


class Marks:
    """Ends of stages on the GPU's own time line, which nothing waits for; wall time on a CPU.

    Where torch cannot time within a graph (before 2.7), the stages in it have no time of their own:
    the next one outside gets it.

    Args:
        device: Where the stages run.
        graphed: Stages whose end a CUDA graph records.
    """

    def __init__(self, device: torch.device, graphed: Iterable[str]) -> None:
        self._cuda = device.type == "cuda"
        self._graphed = frozenset(graphed) if self._cuda else frozenset()
        self._external = bool(self._graphed) and _has_external_events()
        self._events: dict[str, torch.cuda.Event] = {}
        self._times: dict[str, float] = {}
        self._marked: set[str] = set()

    def begin(self, stage: str) -> None:
        """Mark the start of the clock for the stages of another call."""
        # A graph marks its stages at each replay without a word of it here.
        self._marked = set(self._graphed & self._events.keys()) if self._external else set()
        self.record(stage)

    def record(self, stage: str) -> None:
        """Mark the end of a stage in the current stream, or in the graph being captured."""
        if not self._cuda:
            self._times[stage] = time.perf_counter() * 1000
        elif self._external or not self._is_captured(stage):
            self._event(stage).record()
        else:
            return
        self._marked.add(stage)

    def _is_captured(self, stage: str) -> bool:
        return stage in self._graphed and torch.cuda.is_current_stream_capturing()

    def durations(self, order: Iterable[str]) -> dict[str, float]:
        """Milliseconds of each stage but the first, whose mark starts the clock.

        All of them must have ended.

        Args:
            order: The stages in the order in which they were marked.
        """
        taken = {}
        for before, stage in itertools.pairwise(stage for stage in order if stage in self._marked):
            if self._cuda:
                taken[stage] = self._events[before].elapsed_time(self._events[stage])
            else:
                taken[stage] = self._times[stage] - self._times[before]
        return taken

    def _event(self, stage: str) -> torch.cuda.Event:
        if stage not in self._events:
            # An external event is a node of the graph, which each replay records again.
            external = {"external": True} if self._external and stage in self._graphed else {}
            self._events[stage] = torch.cuda.Event(enable_timing=True, **external)
        return self._events[stage]


def _has_external_events() -> bool:
    try:
        torch.cuda.Event(external=True)
    except TypeError:
        return False
    return True
