# SPDX-License-Identifier: Apache-2.0
"""Entry point of `yolact-ros`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import traceback
from collections.abc import Sequence

from yolact_ros import __version__
from yolact_ros.errors import InputError, plain

from . import bag, bench, dataset, doctor, export, predict, presets, quantize, train, view, weights
from . import eval as eval_command
from .options import CommandParser


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands.

    Each command sets `run`, a function of the parsed arguments that returns the exit status.
    `main` adds `command_line` to the arguments: the command as it would be typed again.
    """
    parser = CommandParser(
        prog="yolact-ros",
        description="Real-time instance segmentation with YOLACT.",
        examples=("yolact-ros predict picture.png --out predictions", "yolact-ros train --help"),
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (
        predict,
        bag,
        train,
        eval_command,
        dataset,
        weights,
        export,
        quantize,
        presets,
        bench,
        doctor,
        view,
    ):
        module.register(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0, 1 after an error that was printed, 130 after Ctrl-C.

    Raises:
        SystemExit: 2 for wrong usage, 0 after --help and --version, as argparse does.
    """
    # What OpenCV cannot read, it tells in its own words, and Pillow may; read when it is loaded.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    words = sys.argv[1:] if arguments is None else arguments
    parsed = build_parser().parse_args(words)
    parsed.command_line = shlex.join(["yolact-ros", *words])
    try:
        return int(parsed.run(parsed) or 0)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if getattr(parsed, "traceback", False) or os.environ.get("YOLACT_ROS_TRACEBACK") == "1":
            traceback.print_exc()
        print(f"yolact-ros: {describe_error(error)}", file=sys.stderr)
        return 1


def describe_error(error: Exception) -> str:
    """Describe an exception in one line.

    Errors the user can fix (an `InputError`, or what the system refuses: a file that is missing, a
    disk that is full) are shown as they are. Anything else is a bug, and is shown with how to see
    its traceback.
    """
    refused = isinstance(error, OSError) and (error.filename or error.errno)
    if isinstance(error, InputError) or refused:
        return plain(str(error))
    text = " ".join(plain(str(error)).split())
    return (
        f"{type(error).__name__}: {text}; this is a bug, please report it with the traceback that "
        "the option --traceback or YOLACT_ROS_TRACEBACK=1 shows"
    )


if __name__ == "__main__":
    sys.exit(main())
