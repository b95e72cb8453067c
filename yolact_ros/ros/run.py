# SPDX-License-Identifier: Apache-2.0
"""Runs a node as a process that ends cleanly and quickly on Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Container, Sequence
from typing import Any, NoReturn, Protocol

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.signals import SignalHandlerOptions

from yolact_ros.errors import InputError
from yolact_ros.ros.executor import NodeExecutor
from yolact_ros.ros.logs import ThrottledLog, place_of
from yolact_ros.ros.parameters.command_line import asks_for_help
from yolact_ros.ros.parameters.refusals import refusal_in_words
from yolact_ros.ros.signals import NotedSignals, leave_quietly

LONGEST_END = 1.5
"""Seconds that a node has to end after the signal before its process is ended for it."""
_PAUSE = 0.01
"""Seconds after an error in the executor: one that comes at once would take a whole core."""

WRONG_START = 2
"""Exit code where the command line or a parameter has to be mended before another start."""


class RunnableNode(Protocol):
    """What `run_node` expects of a node beyond rclpy's interface."""

    @property
    def slow_services(self) -> Container[Any]:
        """Services that take long; they are called in threads of their own."""

    def begin(self, end: Callable[[int], None]) -> None:
        """Begin its work, in threads for what takes time; called once, before the node spins.

        Args:
            end: Ends the process with an exit code; may be called at any time, from any thread.
        """

    def close(self) -> None:
        """End its threads; called once, before the node is destroyed."""


def run_node(
    create: Callable[[], RunnableNode], args: Sequence[str] | None = None, *, help_text: str
) -> NoReturn:
    """Make a node, spin it until it is told to end, close and destroy it and end the process.

    An exception in a callback is logged, and the node goes on. The exit code is 0 after a signal or
    shutdown, `WRONG_START` when the command line or a parameter is refused, 1 when the node could
    not be made for another reason, or what the node itself ends with.

    Args:
        create: Makes the node; must be quick.
        args: Program and arguments; None for those of the process.
        help_text: Printed on --help, in place of all this.
    """
    words = list(sys.argv if args is None else args)
    leave_quietly()
    code = 0
    node: Any = None
    signals = NotedSignals()
    finished = threading.Event()

    def end(with_code: int) -> None:
        nonlocal code
        code = with_code
        signals.note()

    def end_in_time() -> None:
        signals.wait()
        if not finished.wait(LONGEST_END):
            _leave(code)

    threading.Thread(target=end_in_time, daemon=True).start()
    try:
        if asks_for_help(words):
            print(help_text)
            _leave(0)
        # rclpy's own handlers would shut the context down while the node is at work: what it says
        # or publishes then fails.
        rclpy.init(
            args=words,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        node = create()
        log = ThrottledLog(node.get_logger())
        executor = NodeExecutor(
            node.slow_services, lambda error: _report(log, error), ended=lambda: signals.came
        )
        executor.add_node(node)
        signals.then(executor.wake)
        if not signals.came:
            node.begin(end)
        _spin(executor, signals, log)
    except Exception as error:
        if node is None or rclpy.ok():
            print(f"not started: {refusal_in_words(error)}", file=sys.stderr)
            refused = not rclpy.ok() or isinstance(error, (InputError, ParameterException))
            code = WRONG_START if refused else 1
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
        finished.set()
    _leave(code)


def _spin(executor: NodeExecutor, signals: NotedSignals, log: ThrottledLog) -> None:
    while rclpy.ok() and not signals.came:
        try:
            executor.spin_once()
        except ExternalShutdownException:
            return
        except Exception as error:
            if not rclpy.ok():
                return
            _report(log, error)
            time.sleep(_PAUSE)


def _report(log: ThrottledLog, error: BaseException) -> None:
    log.error(
        place_of(error),
        f"error in a callback, the node goes on: {type(error).__name__}: {error}",
    )


def _leave(code: int) -> NoReturn:
    """End the process without tearing down the interpreter.

    Everything that matters to others has ended, and collecting what torch's modules leave behind
    takes seconds on a busy machine.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
