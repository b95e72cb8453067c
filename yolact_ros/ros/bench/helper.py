# SPDX-License-Identifier: Apache-2.0
"""A program that `yolact-ros bench node` starts and talks to through a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.ros.processes.children import ChildProcess

_STEP = 0.1


class Helper(ChildProcess):
    """A module that runs as a program.

    Its argument is the number of a file descriptor, that of a `multiprocessing` connection, from
    which it gets its settings first.

    Args:
        module: Full name.
        settings: What it gets.
        log: File of its output, overwritten.
        name: Its name in errors.
    """

    def __init__(self, module: str, settings: Mapping[str, Any], log: Path, *, name: str) -> None:
        self._pipe, its_end = Pipe()
        with its_end:
            number = its_end.fileno()
            command = [sys.executable, "-m", module, str(number)]
            super().__init__(name, command, log, pass_fds=[number])
        self.say(settings)

    def say(self, command: Mapping[str, Any]) -> None:
        """Send a command; a program that has ended does not hear it."""
        with suppress(OSError):
            self._pipe.send(command)

    def answer(self, timeout: float, check: Callable[[], None]) -> Any:
        """Wait for the next answer.

        Args:
            timeout: Longest wait, s.
            check: Called meanwhile; raises when there is no use in waiting, as when it has ended.

        Raises:
            InputError: None came in time.
        """
        deadline = time.monotonic() + timeout
        while not self._pipe.poll(_STEP):
            check()
            if time.monotonic() > deadline:
                raise InputError(f"{self.name}: expected an answer within {timeout:g} s, got none")
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            self.wait(timeout)
            check()
            raise
