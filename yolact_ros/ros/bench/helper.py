# SPDX-License-Identifier: Apache-2.0
"""A program that `yolact-ros bench node` starts and talks to through pipes."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.ros.processes.children import ChildProcess

_STEP = 0.1
_LAST_LINES = 1.0
"""Longest wait for the lines that an ended program left in its pipe, s."""


class Helper(ChildProcess):
    """A module that runs as a program, with JSON as its argument and lines of JSON in its pipes.

    Args:
        module: Full name.
        settings: Its argument.
        log: File of its error output, overwritten.
        environment: Variables besides those of this process.
        name: Its name in errors.
        on_line: Called in a thread with each line; returns whether it has dealt with the line,
            which is an answer otherwise.
    """

    def __init__(
        self,
        module: str,
        settings: Mapping[str, Any],
        log: Path,
        environment: Mapping[str, str],
        *,
        name: str,
        on_line: Callable[[Mapping[str, Any]], bool] = lambda line: False,
    ) -> None:
        self._on_line = on_line
        self._answers: queue.SimpleQueue[Mapping[str, Any] | InputError] = queue.SimpleQueue()
        super().__init__(
            name,
            [sys.executable, "-m", module, json.dumps(settings)],
            log,
            environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def say(self, command: Any) -> None:
        """Send a command; a program that has ended does not hear it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()

    def answer(self, timeout: float, check: Callable[[], None]) -> Mapping[str, Any]:
        """Wait for the next answer.

        Args:
            timeout: Longest wait, s.
            check: Called meanwhile; raises when there is no use in waiting.

        Raises:
            InputError: None came in time, or the program wrote something else than JSON.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() <= deadline:
            try:
                answer = self._answers.get(timeout=_STEP)
            except queue.Empty:
                check()
                continue
            if isinstance(answer, InputError):
                raise answer
            return answer
        raise InputError(f"{self.name}: expected an answer within {timeout:g} s, got none")

    def wait(self, seconds: float) -> None:
        """Wait for its end, and for the thread that reads its lines."""
        super().wait(seconds)
        self._reader.join(_LAST_LINES)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            if not text.endswith(b"\n"):
                return  # it was killed within the line
            try:
                line = json.loads(text)
            except ValueError:
                shown = text.decode(errors="replace").strip()
                self._answers.put(InputError(f"{self.name}: expected JSON, got {shown!r}"))
                continue
            if not self._on_line(line):
                self._answers.put(line)
