# SPDX-License-Identifier: Apache-2.0
"""How long the stages of a call take: `StageClock` on the host, `Marks` on a GPU."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

import torch

STAGES = ("upload", "preprocess", "network", "decode", "masks", "download")
"""The stages of a call, in order. A CPU has neither uploads nor downloads."""

_HAS_EXTERNAL_EVENTS = "external" in (torch.cuda.Event.__doc__ or "")
"""Whether torch can time within a graph; otherwise the next mark outside gets its time."""


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

    Args:
        device: Where the stages run.
        graphed: Stages whose end a CUDA graph records.
    """

    def __init__(self, device: torch.device, graphed: Iterable[str]) -> None:
        self._cuda = device.type == "cuda"
        self._graphed = frozenset(graphed)
        self._events: dict[str, torch.cuda.Event] = {}
        self._times: dict[str, float] = {}

    def record(self, stage: str) -> None:
        """Mark the end of a stage in the current stream, or in the graph being captured."""
        if not self._cuda:
            self._times[stage] = time.perf_counter() * 1000
            return
        if stage in self._graphed and not _HAS_EXTERNAL_EVENTS:
            return
        if stage not in self._events:
            # An external event is a node of the graph, which each replay records again.
            external = {"external": True} if stage in self._graphed else {}
            self._events[stage] = torch.cuda.Event(enable_timing=True, **external)
        self._events[stage].record()

    def durations(self, order: Iterable[str]) -> dict[str, float]:
        """Milliseconds of each stage but the first, whose mark starts the clock.

        All of them must have ended.

        Args:
            order: The stages in the order in which they were marked.
        """
        marked = self._events if self._cuda else self._times
        taken = {}
        for before, stage in itertools.pairwise(stage for stage in order if stage in marked):
            if self._cuda:
                taken[stage] = self._events[before].elapsed_time(self._events[stage])
            else:
                taken[stage] = self._times[stage] - self._times[before]
        return taken
