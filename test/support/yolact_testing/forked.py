# SPDX-License-Identifier: Apache-2.0
"""Commands in processes of their own, forked from one that has loaded what takes seconds."""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path


def start(arguments: Sequence[str], printed: Path) -> BaseProcess:
    """Starts `yolact-ros` as the first process of a group, as a terminal does.

    Args:
        arguments: Of the command.
        printed: File that gets what it prints.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["yolact_ros.cli.main", "yolact_ros.training.trainer"])
    process = context.Process(target=_run, args=(list(arguments), printed))
    process.start()
    return process


def _run(arguments: Sequence[str], printed: Path) -> None:
    from yolact_ros.cli.main import main

    os.setsid()
    with printed.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.exit(main(arguments))
