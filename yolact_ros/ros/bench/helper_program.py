# SPDX-License-Identifier: Apache-2.0
"""What a helper's program does at its end of the pipe; `helper.py` is the other end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rclpy.node import Node


def connect(args: Sequence[str] | None = None) -> tuple[Connection, dict[str, Any]]:
    """Return the connection and the settings, which come first; signals end the program.

    Args:
        args: The number of the file descriptor; None: that of the command line.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    [descriptor] = sys.argv[1:] if args is None else args
    connection = Connection(int(descriptor))
    return connection, connection.recv()


@contextmanager
def helper_node(name: str) -> Iterator[Node]:
    """Have a node until the connection ends, which `recv` and `poll` tell by an EOFError."""
    import rclpy  # it takes a while: a program may have something to do before
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name)
    try:
        yield node
    except EOFError:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
