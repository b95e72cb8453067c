# SPDX-License-Identifier: Apache-2.0
"""A program that `yolact-ros bench node` starts and talks to through pipes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.ros.processes.children import ChildProcess

_STEP = 0.1


class Helper(ChildProcess):
    """A module that runs as a program, with JSON as its argument and lines of JSON in its pipes.

    Args:
        module: Full name.
        settings: Its argument.
        log: File of its error output, overwritten.
        name: Its name in errors.
        environment: Variables besides those of this process.
    """

    def __init__(
        self,
        module: str,
        settings: Mapping[str, Any],
        log: Path,
        *,
        name: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", module, json.dumps(settings)]
        pipe = subprocess.PIPE
        super().__init__(name, command, log, environment, stdin=pipe, stdout=pipe)
        self._unread = b""

    def say(self, command: Any) -> None:
        """Send a command; a program that has ended does not hear it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            os.write(self._process.stdin.fileno(), json.dumps(command).encode() + b"\n")

    def answer(self, timeout: float, check: Callable[[], None]) -> Mapping[str, Any]:
        """Wait for the next answer.

        Args:
            timeout: Longest wait, s.
            check: Called meanwhile; raises when there is no use in waiting.

        Raises:
            InputError: None came in time, or the program wrote something else than JSON.
        """
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            if time.monotonic() > deadline:
                raise InputError(f"{self.name}: expected an answer within {timeout:g} s, got none")
            check()
            if select.select([output], [], [], _STEP)[0]:
                self._unread += os.read(output, 65536)
        line, _, self._unread = self._unread.partition(b"\n")
        try:
            return dict(json.loads(line))
        except ValueError as error:
            shown = line.decode(errors="replace").strip()
            raise InputError(f"{self.name}: expected JSON, got {shown!r}") from error
