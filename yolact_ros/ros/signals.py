# SPDX-License-Identifier: Apache-2.0
"""What signals do before a node runs; imports nothing slow."""

from __future__ import annotations

import os
import signal
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
    """Keep Python from raising KeyboardInterrupt wherever it happens to be.

    rclpy's own handlers, which are installed later and call these, shut the context down, and
    `spin` returns: nothing else ends a node.
    """

    def do_nothing(signum: int, frame: Any) -> None:
        del signum, frame

    for number in _SIGNALS:
        signal.signal(number, do_nothing)
