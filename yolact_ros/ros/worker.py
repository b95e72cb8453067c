# SPDX-License-Identifier: Apache-2.0
"""Threads: one segments the newest frames and what is asked for, the other publishes results."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from yolact_ros.errors import InputError
from yolact_ros.ros.scheduler import BatchScheduler

Frame = TypeVar("Frame")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Worker(ABC, Generic[Item]):
    """A thread that works on one item after another until it is stopped; it can be started again.

    Args:
        name: The thread's name.
        work: Called in the thread with each item.
        on_error: Called in the thread with an item and with what `work` raised; the thread goes on.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Item], object],
        on_error: Callable[[Item, Exception], None],
    ) -> None:
        self._name = name
        self._work = work
        self._on_error = on_error
        self._changed = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None

    @property
    def busy_seconds(self) -> float | None:
        """Seconds that the thread has been working on one item; None: it is waiting for one."""
        since = self._busy_since
        return None if since is None else time.monotonic() - since

    def start(self) -> None:
        """Start the thread; no effect while it runs."""
        with self._changed:
            if self._running:
                return
            self._running = True
            self._begin()

    def _begin(self) -> None:
        """Start a thread that goes on where the one before ends; the condition is held."""
        # A daemon: a process that was told to end does not wait for a network that is stuck.
        self._thread = threading.Thread(
            target=self._run, args=(self._thread,), name=self._name, daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End the thread after the item it is working on, and drop what is waiting.

        Args:
            timeout: Maximum wait, s.

        Returns:
            Whether the thread has ended.
        """
        with self._changed:
            thread = self._thread
            self._running = False
            self._drop()
            self._changed.notify_all()
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _goes_on(self) -> bool:
        """Return whether the current thread should go on; the condition is held."""
        return self._running and threading.current_thread() is self._thread

    def _run(self, predecessor: threading.Thread | None) -> None:
        if predecessor is not None:
            predecessor.join()  # nothing is ever worked on by two threads at once
        while (item := self._take()) is not None:
            self._busy_since = time.monotonic()
            try:
                self._work(item)
            except Exception as error:
                self._on_error(item, error)
            self._busy_since = None
            del item  # or its memory would be held until the next one comes

    @abstractmethod
    def _take(self) -> Item | None:
        """Wait for the next item; None if `_goes_on` returns False."""

    @abstractmethod
    def _drop(self) -> None:
        """Drop what is waiting; the condition is held."""


@dataclass(frozen=True, eq=False)
class _Call:
    """A function that another thread wants to be run, and where its result goes."""

    function: Callable[[], Any]
    future: Future[Any]

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.function()
        except Exception as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def refuse(self) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(_closed_error())


def _closed_error() -> InputError:
    return InputError("the node was cleaned up before this was computed; configure it, ask again")


class BatchWorker(Worker[list[Frame] | _Call]):
    """A thread that works on batches of the newest frame of each camera.

    A frame that arrives while a batch is in progress waits, and a newer frame of the same camera
    takes its place, so no frame ever waits behind another of its camera. `BatchScheduler` decides
    which frames form a batch, and when.

    `call` runs a function in the thread at its next turn. If frames are due as well, calls and
    batches take turns. While this worker is stopped, calls have a thread that ends with the last
    of them; `start` and `stop` wait for the call in progress alone, never for those behind it.

    Args:
        cameras: The names of the cameras.
        work: Called in the thread with each batch; returns whether it counts for `max_rate`.
        on_dropped: Called with a frame that will not be worked on, and why: "replaced" by a newer
            one, or "stopped"; must be quick.
        on_error: Called in the thread with a batch and with what `work` raised; the thread goes on.
        batch_wait: Maximum time that a frame is held back for those of other cameras, s.
        max_batch: Maximum number of frames in a batch; 0: one per camera.
        max_rate: Maximum number of batches per second; 0: unlimited.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        work: Callable[[list[Frame]], bool],
        *,
        on_dropped: Callable[[Frame, str], None],
        on_error: Callable[[Sequence[Frame], Exception], None],
        batch_wait: float = 0.0,
        max_batch: int = 0,
        max_rate: float = 0.0,
    ) -> None:
        super().__init__("yolact-worker", self._work_on, self._report)
        self._segment = work
        self._on_batch_error = on_error
        self._calls: deque[_Call] = deque()
        self._called_last = False
        self._attended = False  # whether a thread will look at the calls
        self._closed = False
        self._on_dropped = on_dropped
        self._scheduler: BatchScheduler[Frame] = BatchScheduler(
            cameras, batch_wait=batch_wait, max_batch=max_batch, max_rate=max_rate
        )

    def configure(self, *, batch_wait: float, max_batch: int, max_rate: float) -> None:
        """Change the settings, from the next batch on; may be called at any time."""
        with self._changed:
            self._scheduler.batch_wait = batch_wait
            self._scheduler.max_batch = max_batch
            if max_rate != self._scheduler.max_rate:
                self._scheduler.max_rate = max_rate
            self._changed.notify()

    def call(self, function: Callable[[], Result]) -> Future[Result]:
        """Run a function in the thread at its next turn, whether it is started or not.

        Returns:
            What it returns or raises; an `InputError` if this worker is closed first. A call that
            is cancelled before its turn is not run.
        """
        call = _Call(function, Future())
        with self._changed:
            if self._closed:
                call.refuse()
                return call.future
            self._calls.append(call)
            self._changed.notify()
            if not self._attended:
                self._begin()
        return call.future

    def close(self) -> None:
        """Run no more functions; those that wait fail."""
        with self._changed:
            self._closed = True
            calls, self._calls = self._calls, deque()
        for call in calls:
            call.refuse()

    def _begin(self) -> None:
        self._attended = True
        super()._begin()

    def offer(self, camera: str, frame: Frame) -> None:
        """Store a camera's newest frame in place of the waiting one; return at once."""
        with self._changed:
            if not self._running:
                self._on_dropped(frame, "stopped")
                return
            replaced = self._scheduler.offer(camera, frame, time.monotonic())
            self._changed.notify()
        if replaced is not None:
            self._on_dropped(replaced, "replaced")

    def _take(self) -> list[Frame] | _Call | None:
        with self._changed:
            while threading.current_thread() is self._thread:
                now = time.monotonic()
                due = self._scheduler.due(now) if self._running else math.inf
                if self._calls and (due > now or not self._called_last):
                    self._called_last = True
                    return self._calls.popleft()
                if not self._running:
                    self._attended = False
                    break
                if due <= now:
                    self._called_last = False
                    return self._scheduler.take(now)
                self._changed.wait(None if math.isinf(due) else due - now)
            return None

    def _drop(self) -> None:
        for frame in self._scheduler.clear():
            self._on_dropped(frame, "stopped")
        self._attended = False  # the thread ends after what it is working on
        if self._calls:
            self._begin()

    def _report(self, item: list[Frame] | _Call, error: Exception) -> None:
        if not isinstance(item, _Call):  # a call's error goes to who called
            self._on_batch_error(item, error)

    def _work_on(self, item: list[Frame] | _Call) -> None:
        if isinstance(item, _Call):
            item.run()
        elif not self._segment(item):
            with self._changed:
                self._scheduler.return_turn()


class HandOver(Worker[Item]):
    """A thread that works on the items another thread gives it, one at a time.

    `give` blocks until this thread takes the item, so the giver stays at most one item ahead and
    always continues with the newest frames.

    Args:
        work: Called in the thread with each item.
        on_error: Called in the thread with an item and with what `work` raised; the thread goes on.
    """

    def __init__(
        self, work: Callable[[Item], None], *, on_error: Callable[[Item, Exception], None]
    ) -> None:
        super().__init__("yolact-publisher", work, on_error)
        self._item: Item | None = None
        self._dropped: Item | None = None

    def give(self, item: Item) -> bool:
        """Block until the thread takes the item; return False if it was stopped instead.

        Only one thread may give.
        """
        with self._changed:
            if not self._running:
                return False
            self._item = item
            self._changed.notify_all()
            while self._item is item:
                self._changed.wait()
            dropped, self._dropped = self._dropped is item, None
            return not dropped

    def _drop(self) -> None:
        self._dropped, self._item = self._item, None

    def _take(self) -> Item | None:
        with self._changed:
            while self._goes_on():
                if self._item is not None:
                    item, self._item = self._item, None
                    self._changed.notify_all()
                    return item
                self._changed.wait()
            return None
