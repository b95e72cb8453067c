# SPDX-License-Identifier: Apache-2.0
"""A program that `yolact-ros bench node` starts and speaks with through pipes."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.ros.processes.children import ChildProcess

_STEP = 0.1


class Helper(ChildProcess):
    """A module that runs as a program: JSON as its one argument, and a line of JSON each way.

    Args:
        module: Full name.
        settings: Its argument.
        log: File of its error output, overwritten.
        environment: Variables besides those of this process.
        name: For errors.
        on_line: Called in a thread with each line; returns whether that was all, or else the line
            is an answer.
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
        self._answers: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        super().__init__(
            name,
            [sys.executable, "-m", module, json.dumps(settings)],
            log,
            environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def say(self, command: Any) -> None:
        """Sends a command; one that has ended does not hear it."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass

    def answer(self, timeout: float, check: Callable[[], None]) -> Mapping[str, Any]:
        """The next answer.

        Args:
            timeout: Longest wait, s.
            check: Called meanwhile; raises when there is no use in waiting.

        Raises:
            ValueError: None came in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self._answers.get(timeout=_STEP)
            except queue.Empty:
                check()
            if time.monotonic() > deadline:
                raise InputError(f"{self.name}: expected an answer within {timeout:g} s, got none")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line = json.loads(text)
            if not self._on_line(line):
                self._answers.put(line)
