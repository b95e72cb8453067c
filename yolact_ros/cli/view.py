# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros view`: what the node sees, in a browser."""

from __future__ import annotations

import argparse
import errno
import re
import socket
from typing import Any

from yolact_ros.errors import InputError

from .options import Kind, from_to, topic_name


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "view",
        help="see what the node sees, in a browser",
        description="Serve a page that shows the node at work: pictures, instances, objects, "
        "rates, ages, drops, the times of the stages, the node's state and why, and the parameters "
        "that may change at run time. It subscribes to the node's results only while somebody "
        "looks.",
        examples=(
            "yolact-ros view",
            "yolact-ros view --node /robot/yolact --allow-changes",
            "yolact-ros view --host 0.0.0.0 --port 8080",
        ),
    )
    parser.add_argument(
        "--node",
        type=topic_name,
        default="/yolact",
        metavar="NAME",
        help="Name of the node, with its namespace.",
    )
    parser.add_argument(
        "--host",
        type=Kind("ADDRESS", str, "an address or a name of this machine", _is_host),
        default="127.0.0.1",
        help="Address to listen on; with 0.0.0.0 whoever reaches this machine sees the pictures.",
    )
    parser.add_argument(
        "--port",
        type=from_to("PORT", int, 0, 65535),
        default=8765,
        help="Port to listen on; 0: any that is free.",
    )
    parser.add_argument(
        "--allow-changes",
        action="store_true",
        help="Let whoever opens the printed address, with its token, change parameters.",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        type=Kind("NAME", str, "a name without a port, such as robot.lan", _is_host),
        help="Another name of this machine that browsers may use. Can be repeated.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command until Ctrl-C or SIGTERM."""
    try:
        import aiohttp  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            "view: expected the package aiohttp, which is not installed; with ROS from packages: "
            "apt install python3-aiohttp; else in a checkout: pip install -r requirements/view.txt"
        ) from None
    try:
        from yolact_ros.ros.view.watch import Watch
    except ImportError as error:
        raise InputError(
            f"view: expected a sourced ROS 2 with this package built in it, found no {error.name}"
        ) from error
    import asyncio

    from yolact_ros.web.live.board import Board
    from yolact_ros.web.live.guard import Guard, is_local
    from yolact_ros.web.live.server import Server, address_of_page, serve_until_signal

    node = f"/{arguments.node.strip('/')}"
    host = arguments.host
    guard = Guard(host, arguments.allow_host or (), allow_changes=arguments.allow_changes)

    def announce(port: int) -> None:
        here = socket.gethostname()
        reach = f"from another machine: ssh -L {port}:{host}:{port} {here}, then the same address"
        if not is_local(host):
            reach = f"whoever reaches port {port} of {here} sees the pictures"
        page = address_of_page(host, port, guard.token)
        print(f"watching {node}: open {page}\n{reach}", flush=True)

    board = Board()
    watch = Watch(node, board, changes=arguments.allow_changes)
    try:
        asyncio.run(serve_until_signal(Server(board, watch, guard), host, arguments.port, announce))
    except OSError as error:
        raise _in_words(error, host, arguments.port) from error
    finally:
        watch.close()
    return 0


def _is_host(text: str) -> bool:
    return re.fullmatch(r"[\w.-]+|[0-9A-Fa-f:.]+", text) is not None


def _in_words(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return InputError(f"--port: expected one that is free, {port} is in use; 0 takes any")
    if error.errno == errno.EACCES:
        return InputError(f"--port: expected one that you may use, got {port}; 0 takes any")
    if error.errno is None or error.errno == errno.EADDRNOTAVAIL or error.errno < 0:
        return InputError(f"--host: expected an address of this machine, got {host!r}")
    return error
