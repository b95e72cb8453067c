# SPDX-License-Identifier: Apache-2.0
"""Runs a node as a process that ends cleanly and soon on Ctrl-C and on SIGTERM."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.signals import ignore_signals

LONGEST_END = 1.0
"""Seconds that a node has to end after the signal before its process is ended for it."""


def run_node(create: Callable[[], Any], args: Sequence[str] | None = None) -> int:
    """Makes a node, spins it until it is told to end, and closes it.

    An exception in a callback is logged, and the node goes on.

    Args:
        create: Makes the node; it has a method `close`.
        args: Command line; None: that of the process.

    Returns:
        The exit code: 0 after a signal or shutdown, 1 when the node could not be made.
    """
    ignore_signals()
    try:
        rclpy.init(args=list(args) if args is not None else None)
    except Exception as error:
        print(f"ROS arguments refused: {_first_line(error)}", file=sys.stderr)
        return 1
    finished = threading.Event()
    threading.Thread(target=_end_in_time, args=(finished,), daemon=True).start()
    code = 0
    node = None
    try:
        node = create()
        _spin(node)
    except Exception as error:
        if rclpy.ok():
            print(f"node not started: {type(error).__name__}: {error}", file=sys.stderr)
            code = 1
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
        finished.set()
    return code


def _spin(node: Node) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    log = ThrottledLog(node.get_logger())
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
    """Ends the process when the context is down and the node does not come to its end."""
    while rclpy.ok():
        if finished.wait(0.1):
            return
    if not finished.wait(LONGEST_END):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
