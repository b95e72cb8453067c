# SPDX-License-Identifier: Apache-2.0
"""One thread that always works on the newest frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Frame = TypeVar("Frame")


class NewestFrameWorker(Generic[Frame]):
    """A slot for one frame and a thread that empties it.

    A frame that comes while another is being worked on waits in the slot; a newer one takes its
    place. So no frame ever waits behind another, and a result is never older than one frame period
    and the time that the work takes.

    Args:
        work: Called in the thread with each frame taken.
        on_replaced: Called when a waiting frame makes room for a newer one.
        on_error: Called in the thread with what `work` raised; the thread goes on.
        max_rate: Most frames taken in a second; 0: as fast as they come.
    """

    def __init__(
        self,
        work: Callable[[Frame], None],
        *,
        on_replaced: Callable[[], None],
        on_error: Callable[[Exception], None],
        max_rate: float = 0.0,
    ) -> None:
        self._work = work
        self._on_replaced = on_replaced
        self._on_error = on_error
        self._changed = threading.Condition()
        self._slot: Frame | None = None
        self._running = False
        self._thread: threading.Thread | None = None
        self._period = 0.0
        self._next_start = 0.0
        self.max_rate = max_rate

    @property
    def max_rate(self) -> float:
        """Most frames taken in a second; 0: as fast as they come. May be set at any time."""
        return 1 / self._period if self._period else 0.0

    @max_rate.setter
    def max_rate(self, rate: float) -> None:
        with self._changed:
            self._period = 1 / rate if rate else 0.0
            self._next_start = 0.0
            self._changed.notify()

    def offer(self, frame: Frame) -> None:
        """Puts a frame into the slot, in place of the one that waits there; returns at once."""
        with self._changed:
            if not self._running:
                return
            replaced = self._slot is not None
            self._slot = frame
            self._changed.notify()
        if replaced:
            self._on_replaced()

    def start(self) -> None:
        """Starts the thread; without effect while it runs."""
        with self._changed:
            if self._running:
                return
            self._running = True
        # A daemon: a process that was told to end does not wait for a network that is stuck.
        self._thread = threading.Thread(
            target=self._run, args=(self._thread,), name="yolact-worker", daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Ends the thread after the frame it is working on, and empties the slot.

        Args:
            timeout: Longest wait, s.

        Returns:
            Whether the thread has ended.
        """
        with self._changed:
            self._running = False
            self._slot = None
            self._changed.notify()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _take(self) -> Frame | None:
        """Waits for the next frame that may be taken; None: this thread was told to end."""
        with self._changed:
            while self._running and threading.current_thread() is self._thread:
                now = time.monotonic()
                if self._slot is not None and now >= self._next_start:
                    frame, self._slot = self._slot, None
                    # Counted from when it was due, so that frames that come a little late do not
                    # lower the rate.
                    on_time = now - self._next_start < self._period / 2
                    self._next_start = (self._next_start if on_time else now) + self._period
                    return frame
                waiting = self._slot is not None
                self._changed.wait(self._next_start - now if waiting else None)
            return None

    def _run(self, predecessor: threading.Thread | None) -> None:
        if predecessor is not None:
            predecessor.join()  # `work` is never called from two threads at once
        while (frame := self._take()) is not None:
            try:
                self._work(frame)
            except Exception as error:
                self._on_error(error)
            del frame  # its memory must not wait for the next one
