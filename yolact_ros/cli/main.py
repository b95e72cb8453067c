# SPDX-License-Identifier: Apache-2.0
"""Entry point of `yolact-ros`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from yolact_ros import __version__
from yolact_ros.errors import InputError

from . import bench, dataset, export, memory, predict, presets, train, weights
from . import eval as eval_command


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands; each sets `run`, which takes the parsed arguments.

    `main` adds `command_line` to them, as it would be typed again.
    """
    parser = argparse.ArgumentParser(
        prog="yolact-ros", description="Real-time instance segmentation with YOLACT."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (predict, train, eval_command, dataset, weights, export, presets, memory, bench):
        module.register(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit status: 0, 1 after an error that was printed, 130 after Ctrl-C.
    """
    words = sys.argv[1:] if arguments is None else arguments
    parsed = build_parser().parse_args(words)
    parsed.command_line = shlex.join(["yolact-ros", *words])
    try:
        return int(parsed.run(parsed) or 0)
    except KeyboardInterrupt:
        return 130
    # Wrong values and files are the user's to mend: one line. Anything else is ours: a traceback.
    except (InputError, OSError) as error:
        print(f"yolact-ros: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
