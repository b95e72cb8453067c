# SPDX-License-Identifier: Apache-2.0
"""The newest value of everything that a page shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """A value on the board.

    Attributes:
        value: What JSON can hold, or the bytes of a JPEG; None: it was removed.
        version: Grows with each change of the board.
        time: Monotonic time at which it was put there, s.
    """

    value: Any
    version: int
    time: float


class Board:
    """Values by name, each replaced by the next one: nothing queues up; for any thread.

    Args:
        clock: Returns monotonic time, s.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._version = 0
        self._tell: Callable[[], None] = lambda: None

    def put(self, name: str, value: Any) -> None:
        """Put a value in the place of the one of that name."""
        with self._lock:
            self._put(name, value)
        self._tell()

    def remove(self, prefix: str) -> None:
        """Remove all values whose names begin with a prefix."""
        with self._lock:
            names = [name for name in self._entries if name.startswith(prefix)]
            for name in names:
                if self._entries[name].value is not None:
                    self._put(name, None)
        self._tell()

    def news(self, seen: Mapping[str, int]) -> dict[str, tuple[Entry, float]]:
        """Return what is newer than what somebody has seen, and the age of each in s.

        Args:
            seen: Version of each entry seen, by name.
        """
        with self._lock:
            now = self._clock()
            return {
                name: (entry, now - entry.time)
                for name, entry in self._entries.items()
                if entry.version > seen.get(name, 0)
            }

    def on_change(self, tell: Callable[[], None]) -> None:
        """Call something after each change, in the thread that made it; it must be quick."""
        self._tell = tell

    def _put(self, name: str, value: Any) -> None:
        self._version += 1
        self._entries[name] = Entry(value, self._version, self._clock())
