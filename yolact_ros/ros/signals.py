# SPDX-License-Identifier: Apache-2.0
"""What Ctrl-C and SIGTERM do in our processes; imports nothing slow."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def leave_quietly() -> None:
    """End the process at once, with exit code 0, on Ctrl-C or SIGTERM.

    For the time while modules are imported and the node is made: there is nothing to clean up yet,
    and a KeyboardInterrupt within an import becomes a traceback.
    """

    def leave(signum: int, frame: Any) -> None:
        del signum, frame
        os._exit(0)

    for number in _SIGNALS:
        signal.signal(number, leave)


def ignore_signals() -> None:
    """Do nothing on Ctrl-C or SIGTERM: the process ends already."""
    for number in _SIGNALS:
        signal.signal(number, _do_nothing)


class NotedSignals:
    """Ctrl-C and SIGTERM, from now on, only become known here: no thread is interrupted anywhere.

    A thread of its own learns of them at once, whatever the main thread does: Python's handlers run
    only when that comes back from what it waits for.
    """

    def __init__(self) -> None:
        self._came = threading.Event()
        self._then: Callable[[], None] = lambda: None
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        ignore_signals()
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()

    @property
    def came(self) -> bool:
        """Whether one has come."""
        return self._came.is_set()

    def then(self, act: Callable[[], None]) -> None:
        """Call something in the watching thread when one comes, or now if one has come."""
        self._then = act
        if self.came:
            act()

    def note(self) -> None:
        """Act as if one had come."""
        self._came.set()
        self._then()

    def wait(self) -> None:
        """Wait until one has come."""
        self._came.wait()

    def _watch(self, reader: int) -> None:
        while number := os.read(reader, 1):
            if number[0] in _SIGNALS:
                self.note()


def _do_nothing(signum: int, frame: Any) -> None:
    del signum, frame


class HeldSignals:
    """Ctrl-C and SIGTERM within a `with` block become a KeyboardInterrupt at known places.

    They are noted, and raised where `check` is called or the block ends. By itself, Python raises
    between any two steps of the main thread. Within `subprocess` that may be just after a lock was
    taken, which is then never given back, and nobody can wait for that process any more. Or a child
    has just been started, and nobody ends it. With the signals held, what has begun is finished,
    the cleaning up included, however often somebody presses Ctrl-C.

    They count also in what a shell runs in the background, which starts with Ctrl-C ignored.
    """

    def __init__(self) -> None:
        self._came = False
        self._before: dict[signal.Signals, Any] = {}

    def check(self) -> None:
        """Raises KeyboardInterrupt if a signal has come."""
        if self._came:
            raise KeyboardInterrupt

    def __enter__(self) -> HeldSignals:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            # None: not one of Python's, which cannot be put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        # Ctrl-C in a terminal ends children as well: an error that tells of that says nothing new.
        if self._came and (error is None or isinstance(error, Exception)):
            raise KeyboardInterrupt from error

    def _note(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        self._came = True
