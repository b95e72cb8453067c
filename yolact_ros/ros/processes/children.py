# SPDX-License-Identifier: Apache-2.0
"""Nodes as child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ament_index_python.packages import get_package_prefix

from yolact_ros.ros.fastdds_profile import profile_variables
from yolact_ros.ros.processes.parent import end_with_parent

PACKAGE = "yolact_ros"

_AFTER_KILL = 2.0
"""Longest wait for the end of a killed process, s."""


class ChildProcess:
    """A program, running; its output goes to a file. It ends with this process, however that ends.

    Args:
        name: For messages.
        command: Program and arguments.
        log: File of its output, overwritten.
        environment: Variables besides those of this process.
        pass_fds: File descriptors that it has, too.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                pass_fds=pass_fds,
                env={**os.environ, **profile_variables(), **(environment or {})},
                preexec_fn=end_with_parent(),
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def tell_to_end(self) -> None:
        """Sends SIGTERM, which nobody inherits ignored, as Ctrl-C in a shell's background."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Waits for its end, and kills it when it takes longer.

        What the system does not end at once even then, such as a process that waits for a disk, is
        left to the system.
        """
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_AFTER_KILL)

    def kill(self) -> None:
        """Kills it, which then has no time to clean up."""
        self._process.kill()
        self.wait(_AFTER_KILL)

    def last_lines(self, count: int = 15) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def describe_end(self) -> str:
        """With which exit code it ended, and its last lines."""
        return f"{self.name} ended with exit code {self.exit_code}:\n{self.last_lines()}"


class Child(ChildProcess):
    """An executable of this package.

    Args:
        executable: Name as for `ros2 run`.
        parameters: Start values by name; strings as YAML writes them.
        log: File of its output, overwritten.
        arguments: ROS arguments besides, such as `-r NAME:=OTHER`.
        environment: Variables besides those of this process.
    """

    def __init__(
        self,
        executable: str,
        parameters: Mapping[str, str],
        log: Path,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [str(Path(get_package_prefix(PACKAGE)) / "lib" / PACKAGE / executable)]
        command += ["--ros-args", *arguments]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        super().__init__(executable, command, log, environment)


class Children:
    """Several children that end together when the `with` block ends.

    The block belongs within one of `HeldSignals`: a KeyboardInterrupt between the start of a child
    and `add`, or while they are ended, would leave some.

    Args:
        patience: Seconds that they have to end before they are killed.
    """

    def __init__(self, patience: float = 1.6) -> None:
        self._patience = patience
        self._children: list[ChildProcess] = []

    def add(self, child: ChildProcess) -> None:
        """Takes over a running child."""
        self._children.append(child)

    def give_up(self, child: ChildProcess) -> None:
        """Leaves a child alone that has ended, as it should."""
        self._children.remove(child)

    def ended(self) -> ChildProcess | None:
        """A child that has ended by itself, if any."""
        return next((child for child in self._children if child.exit_code is not None), None)

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.tell_to_end()
        deadline = time.monotonic() + self._patience
        for child in self._children:
            child.wait(deadline - time.monotonic())
