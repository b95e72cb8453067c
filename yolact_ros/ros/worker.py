# SPDX-License-Identifier: Apache-2.0
"""Two threads: one works on the newest frames, the other finishes what that one hands over."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from yolact_ros.ros.scheduler import BatchScheduler

Frame = TypeVar("Frame")
Item = TypeVar("Item")


class _Worker(ABC):
    """A thread that serves until it is stopped, and can be started again.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread; without effect while it runs."""
        with self._changed:
            if self._running:
                return
            self._running = True
        # A daemon: a process that was told to end does not wait for a network that is stuck.
        self._thread = threading.Thread(
            target=self._run, args=(self._thread,), name=self._name, daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Ends the thread after what it is working on, and drops what waits.

        Args:
            timeout: Longest wait, s.

        Returns:
            Whether the thread has ended.
        """
        with self._changed:
            self._running = False
            self._drop()
            self._changed.notify_all()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _goes_on(self) -> bool:
        """Whether the current thread is still to serve; the condition is held."""
        return self._running and threading.current_thread() is self._thread

    def _run(self, predecessor: threading.Thread | None) -> None:
        if predecessor is not None:
            predecessor.join()  # nothing is ever worked on by two threads at once
        self._serve()

    @abstractmethod
    def _serve(self) -> None:
        """Works on one thing after the other until `_goes_on` is false."""

    def _drop(self) -> None:  # noqa: B027 - there need not be any
        """Drops what waits; the condition is held."""


class BatchWorker(_Worker, Generic[Frame]):
    """A thread that works on batches of the newest frame of each camera.

    A frame that comes while others are being worked on waits; a newer one of the same camera takes
    its place. So no frame ever waits behind another of its camera. `BatchScheduler` decides which
    frames make a batch, and when.

    Args:
        cameras: Their names.
        work: Called in the thread with each batch; returns whether it counts for `max_rate`.
        on_replaced: Called with a camera's name when a waiting frame makes room for a newer one.
        on_error: Called in the thread with what `work` raised; the thread goes on.
        batch_wait: Longest time that a frame is held back for those of other cameras, s.
        max_batch: Most frames in a batch; 0: one of each camera.
        max_rate: Most batches in a second; 0: any.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        work: Callable[[list[Frame]], bool],
        *,
        on_replaced: Callable[[str], None],
        on_error: Callable[[Exception], None],
        batch_wait: float = 0.0,
        max_batch: int = 0,
        max_rate: float = 0.0,
    ) -> None:
        super().__init__("yolact-worker")
        self._work = work
        self._on_replaced = on_replaced
        self._on_error = on_error
        self._scheduler: BatchScheduler[Frame] = BatchScheduler(
            cameras, batch_wait=batch_wait, max_batch=max_batch, max_rate=max_rate
        )

    def configure(self, *, batch_wait: float, max_batch: int, max_rate: float) -> None:
        """Changes the settings, from the next batch on; may be called at any time."""
        with self._changed:
            self._scheduler.batch_wait = batch_wait
            self._scheduler.max_batch = max_batch
            if max_rate != self._scheduler.max_rate:
                self._scheduler.max_rate = max_rate
            self._changed.notify()

    def offer(self, camera: str, frame: Frame) -> None:
        """Gives a camera's newest frame, which replaces the one that waits; returns at once."""
        with self._changed:
            if not self._running:
                return
            replaced = self._scheduler.offer(camera, frame, time.monotonic())
            self._changed.notify()
        if replaced:
            self._on_replaced(camera)

    def _take(self) -> list[Frame]:
        """Waits for the next batch; empty: this thread was told to end."""
        with self._changed:
            while self._goes_on():
                now = time.monotonic()
                due = self._scheduler.due(now)
                if due <= now:
                    return self._scheduler.take(now)
                self._changed.wait(None if math.isinf(due) else due - now)
            return []

    def _drop(self) -> None:
        self._scheduler.clear()

    def _serve(self) -> None:
        while frames := self._take():
            try:
                counts = self._work(frames)
            except Exception as error:
                counts = True
                self._on_error(error)
            if not counts:
                with self._changed:
                    self._scheduler.return_turn()
            del frames  # their memory must not wait for the next ones


class HandOver(_Worker, Generic[Item]):
    """A thread that takes things over from another, one after the other.

    The giver waits until its thing has been taken up. So it is ahead by one thing at most, and
    begins its next one with what is newest then.

    Args:
        work: Called in the thread with each thing.
        on_error: Called in the thread with what `work` raised; the thread goes on.
    """

    def __init__(
        self, work: Callable[[Item], None], *, on_error: Callable[[Exception], None]
    ) -> None:
        super().__init__("yolact-publisher")
        self._work = work
        self._on_error = on_error
        self._item: Item | None = None

    def give(self, item: Item) -> bool:
        """Waits until the thread takes it; returns False if the thread has been stopped instead.

        Only one thread may give.
        """
        with self._changed:
            if not self._running:
                return False
            self._item = item
            self._changed.notify_all()
            while self._running and self._item is item:
                self._changed.wait()
            taken = self._item is not item
            if not taken:
                self._item = None
            return taken

    def _take(self) -> Item | None:
        with self._changed:
            while self._goes_on():
                if self._item is not None:
                    item, self._item = self._item, None
                    self._changed.notify_all()
                    return item
                self._changed.wait()
            return None

    def _serve(self) -> None:
        while (item := self._take()) is not None:
            try:
                self._work(item)
            except Exception as error:
                self._on_error(error)
            del item
