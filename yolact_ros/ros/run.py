# SPDX-License-Identifier: Apache-2.0
"""Runs a node as a process that ends cleanly and quickly on Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions, install_signal_handlers

from yolact_ros.errors import InputError
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.parameters.refusals import refusal_in_words
from yolact_ros.ros.signals import ignore_signals, leave_quietly
from yolact_ros.ros.tuning import keep_freed_memory

LONGEST_END = 0.8
"""Seconds that a node has to end after the signal before its process is ended for it."""

WRONG_START = 2
"""Exit code where the command line or a parameter has to be mended before another start."""


class RunnableNode(Protocol):
    """What `run_node` expects of a node beyond rclpy's interface."""

    def begin(self) -> None:
        """Do what takes time; called once, before the node spins."""

    def close(self) -> None:
        """End its threads; called once, when the context may already be invalid."""


def run_node(create: Callable[[], RunnableNode], args: Sequence[str] | None = None) -> NoReturn:
    """Make a node, spin it until it is told to end, close it and end the process.

    An exception in a callback is logged, and the node goes on. The exit code is 0 after a signal or
    shutdown, `WRONG_START` when the command line or a parameter is refused, and 1 when the node
    could not be made for another reason.

    Args:
        create: Makes the node; must be quick.
        args: Command line; None for that of the process.
    """
    leave_quietly()
    keep_freed_memory()
    code = 0
    node: Any = None
    finished = threading.Event()
    try:
        # rclpy's signal handlers come last: objects that are being made when the context goes down
        # leave tracebacks of their destructors.
        rclpy.init(
            args=list(args) if args is not None else None,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        executor = SingleThreadedExecutor()
        node = create()
        executor.add_node(node)
        ignore_signals()
        install_signal_handlers(SignalHandlerOptions.ALL)
        threading.Thread(target=_end_in_time, args=(finished,), daemon=True).start()
        node.begin()
        _spin(executor, ThrottledLog(node.get_logger()))
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


def _spin(executor: SingleThreadedExecutor, log: ThrottledLog) -> None:
    while rclpy.ok():
        try:
            executor.spin()
        except ExternalShutdownException:
            return
        except Exception as error:
            if not rclpy.ok():
                return
            log.error(
                (type(error).__name__, str(error)),
                f"error in a callback, the node goes on: {type(error).__name__}: {error}",
            )


def _end_in_time(finished: threading.Event) -> None:
    """End the process if the context is down and the node does not end by itself in time."""
    while rclpy.ok():
        if finished.wait(0.1):
            return
    if not finished.wait(LONGEST_END):
        _leave(0)


def _leave(code: int) -> NoReturn:
    """End the process without tearing down the interpreter.

    Everything that matters to others has ended, and collecting what torch's modules leave behind
    takes seconds on a busy machine.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
