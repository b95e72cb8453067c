# SPDX-License-Identifier: Apache-2.0
"""Ends a child process with the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent() -> Callable[[], None] | None:
    """Return a `preexec_fn` that gets a child a SIGTERM when this process is gone, even if killed.

    None if the system is not Linux.
    """
    if not sys.platform.startswith("linux"):
        return None
    control, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask_for_signal() -> None:
        control(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # it was gone before

    return ask_for_signal
