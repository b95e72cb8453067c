# SPDX-License-Identifier: Apache-2.0
"""A parameter file: whether it is for the node, and whether the node takes what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from yolact_ros.errors import first_line
from yolact_ros.findings import Finding, error, ok, warning
from yolact_ros.ros.parameters.files import files_for_others, parameters_in
from yolact_ros.ros.parameters.spec import ParameterError
from yolact_ros.ros.parameters.suggestions import unknown_parameters
from yolact_ros.ros.parameters.table import PARAMETERS, camera_parameters

_NAME = "parameters"


def check_parameters(file: Path, node_name: str) -> Iterator[Finding]:
    """Check a parameter file as the node would.

    Args:
        file: The file.
        node_name: The node's name with its namespace, such as /yolact.
    """
    try:
        given = parameters_in(str(file), node_name)
    except (OSError, ValueError, yaml.YAMLError) as failure:
        reason = getattr(failure, "strerror", None) or first_line(failure)
        yield error(_NAME, f"{file} cannot be read: {reason}", "start from config/yolact.yaml")
        return
    problems = list(_problems(file, node_name, given))
    yield from problems or [ok(_NAME, f"{file}: {len(given)} for {node_name}")]


def _problems(file: Path, node_name: str, given: dict[str, Any]) -> Iterator[Finding]:
    for line in files_for_others(["node", "--ros-args", "--params-file", str(file)], node_name):
        found, _, remedy = line.partition("; ")
        yield error(_NAME, found, remedy)
    cameras = given.get("cameras")
    own = camera_parameters(cameras) if isinstance(cameras, list) else ()
    table = {spec.name: spec for spec in (*PARAMETERS, *own)}
    for line in unknown_parameters(given, list(table)):
        found, _, nearest = line.partition("; ")
        yield warning(
            _NAME, f"{file}: {found}", nearest or "yolact_node --help lists the parameters"
        )
    for name in given:
        if name not in table:
            continue
        try:
            table[name].check(given[name])
        except ParameterError as refusal:
            yield error(_NAME, f"{file}: {refusal}", f"set {name} to what is expected")
