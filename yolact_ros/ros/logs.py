# SPDX-License-Identifier: Apache-2.0
"""Log lines: held back when they repeat, and forwarded from the core to the node's logger."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from yolact_ros.errors import plain

_MOST_KEYS = 128


class ThrottledLog:
    """Log at most one line per period and key, and say how many were held back.

    rclpy's own throttle works by line of code, so that two faults reported by the same line would
    hide each other.

    Args:
        logger: An rclpy logger, or anything with `warning` and `error`.
        prefix: Begins every line.
        period: Minimum time between two lines with the same key, s.
        clock: Returns the time, s.
    """

    def __init__(
        self,
        logger: Any,
        *,
        prefix: str = "",
        period: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._prefix = prefix
        self._period = period
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def warning(
        self, key: Hashable, message: str | Callable[[], str], period: float | None = None
    ) -> None:
        """Log a warning unless one with this key was logged within the period.

        Args:
            message: The text, or what makes it, which is called only if it is logged.
            period: Minimum time since the last line with this key, s; infinite: only one is ever
                logged. None: the log's own.
        """
        if (text := self._admit(key, message, period)) is not None:
            self._logger.warning(text)

    def error(self, key: Hashable, message: str | Callable[[], str]) -> None:
        """Log an error unless one with this key was logged within the period."""
        if (text := self._admit(key, message)) is not None:
            self._logger.error(text)

    def _admit(
        self, key: Hashable, message: str | Callable[[], str], period: float | None = None
    ) -> str | None:
        period = self._period if period is None else period
        now = self._clock()
        with self._lock:
            logged_at, held_back = self._seen.get(key, (float("-inf"), 0))
            if now - logged_at < period:
                self._seen[key] = (logged_at, held_back + 1)
                return None
            self._seen[key] = (now, 0)
            self._seen.move_to_end(key)
            if len(self._seen) > _MOST_KEYS:
                self._seen.popitem(last=False)
        text = self._prefix + (message if isinstance(message, str) else message())
        return f"{text} ({held_back} more like this before)" if held_back else text


def place_of(error: BaseException) -> tuple[str, str, int]:
    """Return an error's type and where it was raised: a key for errors whose text varies."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__, "", 0
    return type(error).__name__, trace.tb_frame.f_code.co_filename, trace.tb_lineno


class NodeLogHandler(logging.Handler):
    """Forward the core's log records to a node's logger.

    Args:
        logger: The node's rclpy logger.
    """

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._forward(record)
        except Exception:
            self.handleError(record)  # a line that cannot be written costs no frame

    def _forward(self, record: logging.LogRecord) -> None:
        message = plain(record.getMessage())
        # One line of code for each level: rclpy refuses a line whose severity changes.
        if record.levelno >= logging.ERROR:
            self._logger.error(message)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(message)
        else:
            self._logger.info(message)
