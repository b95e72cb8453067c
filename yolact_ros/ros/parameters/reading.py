# SPDX-License-Identifier: Apache-2.0
"""Parameters declared from a table, and checked here instead of by rclpy.

rclpy refuses a start value that is out of range or an integer for a float by raising in
`declare_parameter`, which would kill the node in its constructor. So every parameter is declared
with dynamic typing and without a range, and its value is checked when it is read or set.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rclpy.node import Node

from yolact_ros.ros.parameters.files import files_for_others
from yolact_ros.ros.parameters.spec import LISTS, ParameterError, ParameterSpec
from yolact_ros.ros.parameters.suggestions import unknown_parameters


def declare(node: Node, table: Iterable[ParameterSpec]) -> None:
    """Declare every parameter of the table; never raises for a start value."""
    for spec in table:
        default = (list(spec.default) or [""]) if spec.kind in LISTS else spec.default
        node.declare_parameter(spec.name, default, spec.descriptor())


def warn_of_unknown(node: Node, table: Iterable[ParameterSpec]) -> None:
    """Log a line for each parameter that was given and that nobody declared.

    And for each parameter file that is for other nodes only.
    """
    names = [spec.name for spec in table]
    # rclpy tells only here what was given
    given = [name for name in node._parameter_overrides if not node.has_parameter(name)]
    for line in (
        *unknown_parameters(given, names),
        *files_for_others(sys.argv, node.get_fully_qualified_name()),
    ):
        node.get_logger().warning(line)


def read(node: Node, table: Sequence[ParameterSpec]) -> dict[str, Any]:
    """Read and check the declared parameters.

    Raises:
        ParameterError: Some values cannot be used; one message names them all.
    """
    return check_all({spec.name: node.get_parameter(spec.name).value for spec in table}, table)


def check_all(values: Mapping[str, Any], table: Sequence[ParameterSpec]) -> dict[str, Any]:
    """Check the value of every parameter of the table.

    Raises:
        ParameterError: Some values cannot be used; one message names them all.
    """
    checked: dict[str, Any] = {}
    problems: list[str] = []
    for spec in table:
        try:
            checked[spec.name] = spec.check(values[spec.name])
        except ParameterError as error:
            problems.append(str(error))
    if problems:
        raise ParameterError("; ".join(problems))
    return checked


def markdown(table: Iterable[ParameterSpec]) -> str:
    """Return the table as docs/parameters.md shows it between its two markers."""
    lines = [
        "| parameter | type | default | allowed | at run time | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for spec in table:
        at_run_time = "yes" if spec.at_run_time else "no"
        lines.append(
            f"| `{spec.name}` | {spec.kind} | `{_literal(spec.default)}` | {spec.constraint} "
            f"| {at_run_time} | {spec.description} |"
        )
    return "\n".join(lines)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return repr(list(value) or [""])
    return repr(value) if isinstance(value, str) else f"{value}"
