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
        names = [name for name, _ in _entries(content)]
        if not any(_matches(name, node_name) for name in names):
            found = f"only for {', '.join(names)}" if names else "for no node at all"
            lines.append(
                f"parameter file {file} has nothing for this node, which is called {node_name}, "
                f"but {found}; write {node_name} or /** instead"
            )
    return lines


def parameters_in(file: str, node_name: str) -> dict[str, Any]:
    """Return the parameters that a file has for a node, by their full names.

    Args:
        file: The parameter file.
        node_name: The node's name with its namespace, such as /robot/yolact.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no text.
        yaml.YAMLError: It is no YAML.
    """
    content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    given: dict[str, Any] = {}
    for name, parameters in _entries(content):
        if _matches(name, node_name) and isinstance(parameters, dict):
            given |= _flat(parameters)
    return given


def _flat(parameters: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in parameters.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _entries(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names of nodes, which may have wildcards, and what is below each `ros__parameters`."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == PARAMETERS_KEY:
                yield prefix, value
            else:
                yield from _entries(value, f"{prefix}/{str(key).strip('/')}".rstrip("/"))


def _matches(pattern: str, node_name: str) -> bool:
    """Whether rcl takes a name with wildcards for the node's: * is one word, ** any number."""
    return re.fullmatch(pattern.replace("/*", r"(/\w+)"), node_name) is not None
