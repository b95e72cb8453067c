# SPDX-License-Identifier: Apache-2.0
"""Which cameras' frames make the next batch, and when; no threads, and time is an argument."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Generic, TypeVar

Frame = TypeVar("Frame")

_INTERVALS_KEPT = 5
_LATENESS = 0.25
"""Fraction of its period that a camera's frame may be late before it counts as silent."""


class _Camera(Generic[Frame]):
    """The newest frame of a camera, and when its next one is due."""

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.since = 0.0  # when the place was last filled; a newer frame does not change it
        self._last: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS_KEPT)

    def put(self, frame: Frame, now: float) -> Frame | None:
        if self._last is not None:
            self._intervals.append(now - self._last)
        self._last = now
        if self.frame is None:
            self.since = now
        replaced, self.frame = self.frame, frame
        return replaced

    def next_frame(self) -> tuple[float, float]:
        """Return when the next frame is expected and its latest time; infinite if unknown."""
        if self._last is None or not self._intervals:
            return math.inf, math.inf
        period = median(self._intervals)
        return self._last + period, self._last + period * (1 + _LATENESS)


class BatchScheduler(Generic[Frame]):
    """Holds the newest frame of each camera and decides when which of them make a batch.

    A camera waits from the moment its empty place is filled; newer frames take the place over
    without beginning that anew, so that neither a fast camera nor a slow one is put off for ever.
    Those that waited longest are taken first: of N cameras each is served within the next
    ceil(N / `max_batch`) batches.

    A batch is held back for cameras that have no frame yet, for at most `batch_wait` after the
    first of its frames came, and only for those whose next frame is expected by then. A camera
    that is late by more than a quarter of its period, or whose period is not known yet, holds
    nothing back.

    Args:
        cameras: Their names.
        batch_wait: Longest time that a frame is held back for those of other cameras, s.
        max_batch: Most frames in a batch; 0: one of each camera.
        max_rate: Most batches in a second; 0: any.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        *,
        batch_wait: float = 0.0,
        max_batch: int = 0,
        max_rate: float = 0.0,
    ) -> None:
        self.batch_wait = batch_wait
        self.max_batch = max_batch
        self._cameras: dict[str, _Camera[Frame]] = {name: _Camera() for name in cameras}
        self._next_start = self._start_before = -math.inf
        self.max_rate = max_rate

    @property
    def max_rate(self) -> float:
        """Maximum number of batches per second; 0: unlimited."""
        return self._max_rate

    @max_rate.setter
    def max_rate(self, rate: float) -> None:
        self._max_rate = rate
        self._period = 1 / rate if rate else 0.0
        self._next_start = -math.inf

    def offer(self, camera: str, frame: Frame, now: float) -> Frame | None:
        """Store a camera's newest frame; return the waiting one that it replaced, if any."""
        return self._cameras[camera].put(frame, now)

    def due(self, now: float) -> float:
        """Return when the waiting frames should be taken, as far as is known now.

        Returns:
            `now` or earlier: at once. Infinite: not before another frame comes.
        """
        waiting = [camera for camera in self._cameras.values() if camera.frame is not None]
        if not waiting:
            return math.inf
        if now < self._next_start:
            return self._next_start
        if len(waiting) >= self._most():
            return now
        deadline = min(camera.since for camera in waiting) + self.batch_wait
        mates = [
            latest
            for expected, latest in (
                camera.next_frame() for camera in self._cameras.values() if camera.frame is None
            )
            if expected <= deadline and latest > now
        ]
        return min(deadline, max(mates, default=now))

    def take(self, now: float) -> list[Frame]:
        """Remove and return the frames of the next batch, the longest-waiting first."""
        waiting = [camera for camera in self._cameras.values() if camera.frame is not None]
        waiting.sort(key=lambda camera: camera.since)
        frames = []
        for camera in waiting[: self._most()]:
            if camera.frame is not None:
                frames.append(camera.frame)
                camera.frame = None
        # Counted from when it was due, so that frames that come a little late do not lower the
        # rate.
        on_time = now - self._next_start < self._period / 2
        self._start_before = self._next_start
        self._next_start = (self._next_start if on_time else now) + self._period
        return frames

    def return_turn(self) -> None:
        """Do not count the last batch for `max_rate`: nothing was computed for it."""
        self._next_start = self._start_before

    def clear(self) -> list[Frame]:
        """Remove and return the waiting frames; forget what is known of the cameras' periods."""
        waiting = [each.frame for each in self._cameras.values() if each.frame is not None]
        self._cameras = {name: _Camera() for name in self._cameras}
        return waiting

    def _most(self) -> int:
        count = len(self._cameras)
        return min(count, self.max_batch) if self.max_batch else count
