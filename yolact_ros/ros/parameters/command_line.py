# SPDX-License-Identifier: Apache-2.0
"""The command line of a node: ROS's arguments and --help, and nothing else."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rclpy.utilities import remove_ros_args

from yolact_ros.errors import InputError
from yolact_ros.ros.parameters.spec import ParameterSpec

_HELP = ("-h", "--help")


def asks_for_help(words: Sequence[str]) -> bool:
    """Whether a command line asks for help.

    Args:
        words: The program and its arguments.

    Raises:
        InputError: It has an argument that is neither ROS's nor --help.
        rclpy's exceptions: ROS refuses an argument of its own.
    """
    others = remove_ros_args(list(words))[1:]
    if any(word in _HELP for word in others):
        return True
    if others:
        raise InputError(
            "expected ROS's arguments alone, such as --ros-args -p NAME:=VALUE -r FROM:=TO, got "
            f"{others[0]!r}; --help lists the parameters"
        )
    return False


def help_text(program: str, description: str, table: Iterable[ParameterSpec]) -> str:
    """Describe a node and its parameters.

    Args:
        program: Its executable.
        description: What it does, in a sentence.
        table: Its parameters.
    """
    lines = [
        f"usage: ros2 run yolact_ros {program} [--help] "
        "[--ros-args [-p NAME:=VALUE ...] [-r FROM:=TO ...]]",
        "",
        description,
        "",
        "parameters:",
    ]
    for spec in table:
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        default = str(default).lower() if isinstance(default, bool) else repr(default)
        lines.append(f"  {spec.name} ({spec.kind}, {default})")
        text = f"{spec.description} Expected: {spec.constraint}."
        lines += textwrap.wrap(text, 96, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
