# SPDX-License-Identifier: Apache-2.0
"""Parameter files on the command line, and whether anything in them is for this node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

PARAMETERS_KEY = "ros__parameters"


def parameter_files(arguments: Sequence[str]) -> list[str]:
    """Return the files given with `--params-file`, in their order.

    >>> parameter_files(["yolact_node", "--ros-args", "--params-file", "a.yaml"])
    ['a.yaml']

    Args:
        arguments: Command line of the process.
    """
    files = []
    for_ros = False
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument in ("--ros-args", "--"):
            for_ros = argument == "--ros-args"
        elif for_ros and argument == "--params-file" and following:
            files.append(following)
    return files


def files_for_others(arguments: Sequence[str], node_name: str) -> list[str]:
    """Return one line for each parameter file that has nothing for this node.

    Args:
        arguments: Command line of the process.
        node_name: The node's name with its namespace, such as /robot/yolact.
    """
    lines = []
    for file in parameter_files(arguments):
        try:
            content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue  # rcl has read it, or the node would not be there
        names = list(_node_names(content))
        if not any(_matches(name, node_name) for name in names):
            found = f"only for {', '.join(names)}" if names else "for no node at all"
            lines.append(
                f"parameter file {file} has nothing for this node, which is called {node_name}, "
                f"but {found}; write {node_name} or /** instead"
            )
    return lines


def _node_names(tree: Any, prefix: str = "") -> Iterator[str]:
    """The names of nodes, which may have wildcards, above each `ros__parameters` of a file."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == PARAMETERS_KEY:
                yield prefix
            else:
                yield from _node_names(value, f"{prefix}/{str(key).strip('/')}".rstrip("/"))


def _matches(pattern: str, node_name: str) -> bool:
    """Whether rcl takes a name with wildcards for the node's: * is one word, ** any number."""
    return re.fullmatch(pattern.replace("/*", r"(/\w+)"), node_name) is not None
