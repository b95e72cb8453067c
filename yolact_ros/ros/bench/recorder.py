# SPDX-License-Identifier: Apache-2.0
"""What a node does over minutes, second by second; no ROS."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yolact_ros.bench.memory import read_sizes
from yolact_ros.ros.bench.counts import counts_of
from yolact_ros.ros.bench.process_use import processor_seconds

_PERIOD = 1.0
"""Seconds between two samples."""


@dataclass(frozen=True)
class Sample:
    """A process at one moment.

    Attributes:
        at_ns: When, by the system's clock.
        without_files_mb: Resident pages of no file, such as the weights', MB (10^6 bytes).
        rss_mb: All resident pages, MB.
        threads: Number of threads.
        files: Number of open files.
        processor_s: Processor time so far, s.
        at_rest: Whether it had nothing to do, and had given back what it keeps for the next image.
    """

    at_ns: int
    without_files_mb: float
    rss_mb: float
    threads: int
    files: int
    processor_s: float
    at_rest: bool


@dataclass(frozen=True)
class Told:
    """What /diagnostics told of the node as a whole.

    Attributes:
        at_ns: When it came, by the system's clock.
        level: 0: OK, 1: WARN, 2: ERROR.
        message: In words.
        state: The lifecycle state.
        counts: The node's counters, by the names of `COUNTERS`.
    """

    at_ns: int
    level: int
    message: str
    state: str
    counts: Mapping[str, int]


@dataclass
class Recorder:
    """Samples of a process, and what its diagnostics told meanwhile.

    `listen` is called in another thread than the rest.

    Attributes:
        samples: One a second.
        told: What the diagnostics told.
        state: All that they told last, by key.
    """

    samples: list[Sample] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    state: Mapping[str, str] = field(default_factory=dict)
    _pid: int | None = None
    _due: float = 0.0

    def begin(self, pid: int) -> None:
        """Sample this process from now on."""
        self._pid = pid

    def sample_if_due(self) -> None:
        """Take a sample if the last one was a second ago; called in every wait."""
        if self._pid is not None and time.monotonic() >= self._due:
            self.sample()

    def sample(self, *, at_rest: bool = False) -> None:
        """Take a sample now; of a process that has ended, none."""
        self._due = time.monotonic() + _PERIOD
        folder = Path("/proc") / str(self._pid)
        try:
            sizes = read_sizes(folder / "status")
            self.samples.append(
                Sample(
                    at_ns=time.time_ns(),
                    without_files_mb=sizes["RssAnon"] * 1e-6,
                    rss_mb=sizes["VmRSS"] * 1e-6,
                    threads=len(os.listdir(folder / "task")),
                    files=len(os.listdir(folder / "fd")),
                    processor_s=processor_seconds([self._pid or 0]),
                    at_rest=at_rest,
                )
            )
        except (OSError, KeyError):
            return

    def listen(self, at_ns: int, level: int, message: str, values: Mapping[str, str]) -> None:
        """Note a status of the node as a whole."""
        self.state = values
        self.told.append(Told(at_ns, level, message, values["state"], counts_of(values)))
