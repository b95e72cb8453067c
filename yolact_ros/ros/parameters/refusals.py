# SPDX-License-Identifier: Apache-2.0
"""Why ROS refuses the command line of a node, in words that say what to write instead."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import yaml

from yolact_ros.errors import first_line

_REFUSED = re.compile(r"Couldn't parse ([\w ]+): '(\S+) (.*)'\. Error: (.*)")
_NOTHING_FOLLOWS = re.compile(r"Couldn't parse trailing ([\w ]+ flag: )?'?(-[\w-]+)")
_PLACE = re.compile(r",? at /\S+:\d+")
_LINE = re.compile(r"\bline(?:_num)? (\d+)")

_FORMS = {
    "-p": "NAME:=VALUE, such as score_threshold:=0.3",
    "--param": "NAME:=VALUE, such as score_threshold:=0.3",
    "-r": "FROM:=TO, such as image:=/camera/image_raw",
    "--remap": "FROM:=TO, such as image:=/camera/image_raw",
    "--params-file": "the path of a parameter file",
    "--log-level": "one of debug, info, warn, error, fatal, or LOGGER:=LEVEL",
}
"""What follows each argument of ROS."""

_REASONS = (
    (
        "Sequence should be of same type",
        "the items of a list are of different types; put those that are text in quotes",
    ),
    (
        "No value",
        "expected a value; write '' for an empty text, [''] for an empty list, or leave it out",
    ),
    (
        "ros__parameters",
        "expected the node's name or /**, below it `ros__parameters:`, and below that the "
        "parameters, each level indented further",
    ),
    (
        "Sequences cannot be key",
        "expected the node's name or /**, below it `ros__parameters:`, and below that the "
        "parameters, got a list",
    ),
    ("aliasing", "parameter files have no anchors (&) and aliases (*)"),
    (
        "node name must not",
        "expected names of nodes of letters, digits and _ (or the wildcards * and **), each "
        "after a /",
    ),
    ("parsing an event", "expected a value in YAML, got brackets or quotes that do not match"),
)
"""What rcl says of a parameter, and what it means."""


def refusal_in_words(error: BaseException) -> str:
    """Return one line: what ROS refuses, and what it expects there.

    Args:
        error: What rclpy raised when it was initialised or made a node.
    """
    text = _PLACE.sub("", " ".join(str(error).split())).replace("failed to initialize rcl: ", "")
    if type(error).__name__ == "UnknownROSArgsError":
        return _unknown(text)
    if refused := _REFUSED.search(text):
        kind, flag, value, reason = refused.groups()
        return _refused(kind, flag, value, reason)
    if nothing := _NOTHING_FOLLOWS.search(text):
        flag = nothing[2]
        return f"{flag}: expected {_FORMS.get(flag, 'a value')} after it, got nothing"
    return text or first_line(error)


def _unknown(text: str) -> str:
    names = ", ".join(ast.literal_eval(text))
    return (
        f"{names}: not an argument of ROS; expected -p NAME:=VALUE for a parameter, -r FROM:=TO "
        "for a topic or the node's name, or --params-file FILE"
    )


def _refused(kind: str, flag: str, value: str, reason: str) -> str:
    if kind == "params file":
        return f"parameter file {os.path.abspath(value)}: {_file_fault(value, reason)}"
    begin = f"{flag} {value}: expected "
    if kind == "remap rule" and "__ns:=" in value:
        return begin + (
            "a namespace such as __ns:=/robot: it begins with /, and each word in it is of "
            "letters, digits and _ and begins with no digit"
        )
    if kind == "remap rule" and ("__node:=" in value or "__name:=" in value):
        return begin + (
            "a name such as __node:=yolact: letters, digits and _, and no digit at its beginning"
        )
    if kind == "remap rule":
        return begin + (
            f"{_FORMS['-r']}; names have no blanks, no // and no / at the end, and no word in them "
            "begins with a digit"
        )
    if kind == "parameter override rule" and ":=" in value and not value.endswith(":="):
        return f"{flag} {value}: {_meaning(reason)}"
    return begin + _FORMS.get(flag, reason)


def _file_fault(path: str, reason: str) -> str:
    if os.path.isdir(path):
        return "expected a file, got a folder"
    try:
        yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read: {first_line(error)}"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        return f"{place}not YAML: {error.problem}"
    except (ValueError, yaml.YAMLError):
        pass
    line = _LINE.search(reason)
    return f"line {line[1]}: {_meaning(reason)}" if line else _meaning(reason)


def _meaning(reason: str) -> str:
    return next((words for part, words in _REASONS if part in reason), reason)
