# SPDX-License-Identifier: Apache-2.0
"""Runs commands quietly: one line a step on the terminal, everything else in a log file."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

TAIL_LINES = 30
"""Lines of the log that are shown when a command fails."""


class SetupError(Exception):
    """Something that the user has to know or do; the message is shown as it is.

    Attributes:
        exit_code: What scripts/setup, and the scripts that call it, end with.
    """

    exit_code = 1


class PackagesMissing(SetupError):
    """The system lacks packages that nobody agreed to install; the message says how to."""

    exit_code = 3


class Steps:
    """Progress on standard output, the commands' own output in one log file.

    Args:
        log: The file, begun anew.
    """

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._file: IO[str] = log.open("w", encoding="utf-8", errors="replace")

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Says what is being done, and how long it took."""
        print(f"setup: {text} ...", end="", flush=True)
        begin = time.monotonic()
        try:
            yield
        except BaseException:
            print(" failed", flush=True)
            raise
        print(f" {time.monotonic() - begin:.0f} s", flush=True)

    def say(self, text: str) -> None:
        """Tells the user one thing."""
        print(f"setup: {text}", flush=True)

    def run(self, command: Sequence[str | Path], env: Mapping[str, str], cwd: Path) -> None:
        """Runs a command, its output in the log.

        Raises:
            SetupError: It fails; with the end of its output.
        """
        words = [str(word) for word in command]
        self._file.write(f"$ {' '.join(words)}\n")
        self._file.flush()
        begin = self.log.stat().st_size
        result = subprocess.run(
            words,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if result.returncode != 0:
            with self.log.open("rb") as file:
                file.seek(begin)
                lines = file.read().decode("utf-8", "replace").splitlines()
            tail = "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])
            raise SetupError(
                f"{Path(words[0]).name} ended with {result.returncode}. Its last lines, of all in "
                f"{self.log}:\n{tail}"
            )
