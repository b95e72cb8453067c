# SPDX-License-Identifier: Apache-2.0
"""The demo in a browser: `yolact-ros view` beside the node and its cameras."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from yolact_ros.ros.processes.children import ChildProcess, Children

_COMMAND = ("-m", "yolact_ros.cli.main", "view", "--port", "0", "--allow-changes")


def show_page(children: Children, log: Path, ended: Callable[[], ChildProcess | None]) -> str:
    """Start the viewer, say which address to open, and wait until a process ends.

    Args:
        children: The node and its cameras; the viewer ends with them.
        log: File of the viewer's output.
        ended: Returns a process that has ended; raises KeyboardInterrupt on Ctrl-C.

    Returns:
        Which process has ended, and its last words.
    """
    children.add(ChildProcess("view", [sys.executable, *_COMMAND], log))
    is_told = False
    while (child := ended()) is None:
        lines = log.read_text(errors="replace")
        if not is_told and (match := re.search(r"^watching .*\n.*\n", lines, re.MULTILINE)):
            print(match[0], end="", flush=True)
            is_told = True
        time.sleep(0.2)
    return child.describe_end()
