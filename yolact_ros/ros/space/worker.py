# SPDX-License-Identifier: Apache-2.0
"""The thread in which results wait for their depth and are measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from std_msgs.msg import Header

from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.recordings.matching import DepthRequest
from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.worker import Worker
from yolact_ros.structures import Instances
from yolact_ros.tracking import Tracked

MOST_WAITING = 8
"""Results of a camera that wait for their depth at once."""


@dataclass(frozen=True, eq=False)
class Pending:
    """A result that has gone out, and whose objects or points are wanted as well.

    Attributes:
        camera: The camera.
        header: The image's header.
        instances: What was found in it.
        tracked: Which things they are; None: nobody wants to know.
        image: The image, if points are wanted.
        depth: Where its depth image is, or will be.
        deadline: `time.perf_counter()` after which it waits no more.
    """

    camera: CameraStream
    header: Header
    instances: Instances
    tracked: Tracked | None
    image: ImageArray | None
    depth: DepthRequest[Any]
    deadline: float


class MeasuringWorker(Worker[Pending]):
    """A thread that works on each result when its depth is settled, or its time is over.

    If several results of a camera are settled, the thread is behind: it takes the newest of them
    and drops the others.

    Args:
        work: Called in the thread with each result; its depth may have no match.
        is_settled: Whether a result need not wait for better depth.
        on_dropped: Called with a result that will not be worked on, and the counter for it; must be
            quick.
        on_error: Called in the thread with a result and what `work` raised; the thread goes on.
    """

    def __init__(
        self,
        work: Callable[[Pending], None],
        *,
        is_settled: Callable[[Pending], bool],
        on_dropped: Callable[[Pending, str], None],
        on_error: Callable[[Pending, Exception], None],
    ) -> None:
        super().__init__("yolact-space", work, on_error)
        self._is_settled = is_settled
        self._on_dropped = on_dropped
        self._waiting: list[Pending] = []  # the oldest first

    def offer(self, pending: Pending) -> None:
        """Let a result wait; return at once."""
        dropped: Pending | None = None
        with self._changed:
            if not self._running:
                self._on_dropped(pending, "space_stopped")
                return
            of_camera = [each for each in self._waiting if each.camera is pending.camera]
            if len(of_camera) >= MOST_WAITING:
                dropped = of_camera[0]
                self._waiting.remove(dropped)
            self._waiting.append(pending)
            self._changed.notify()
        if dropped is not None:
            self._on_dropped(dropped, "overtaken" if dropped.depth.match else "unmatched")

    def look_again(self) -> None:
        """Look whether a result is settled, since depth came."""
        with self._changed:
            if self._waiting:
                self._changed.notify()

    def _take(self) -> Pending | None:
        with self._changed:
            while self._goes_on():
                now = time.perf_counter()
                for pending in self._waiting:
                    if pending.deadline <= now or self._is_settled(pending):
                        return self._newest_like(pending)
                due = min((pending.deadline for pending in self._waiting), default=None)
                self._changed.wait(None if due is None else due - now)
            return None

    def _newest_like(self, pending: Pending) -> Pending:
        """Remove a result that can be worked on, and return it or the one that overtakes it."""
        if pending.depth.match is not None:
            settled = [
                each
                for each in self._waiting
                if each.camera is pending.camera and self._is_settled(each)
            ]
            for each in settled[:-1]:
                self._waiting.remove(each)
                self._on_dropped(each, "overtaken")
            pending = settled[-1] if settled else pending
        self._waiting.remove(pending)
        return pending

    def _drop(self) -> None:
        for pending in self._waiting:
            self._on_dropped(pending, "space_stopped")
        self._waiting.clear()
