# SPDX-License-Identifier: Apache-2.0
"""Another node's parameters that may change at run time: read, followed and set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, ParameterEvent, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParameters,
)
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python

from yolact_ros.ros.parameters.from_text import value_from_text
from yolact_ros.ros.parameters.spec import STRINGS, kind_of, may_change_at_run_time

_PATIENCE = 3.0
"""Seconds after which a question that was not answered is asked again."""
_CHOICES = "one of "

Rows = list[dict[str, Any]]


class RemoteParameters:
    """The parameters of a node that may come and go; all in the executor's thread.

    A row has name, kind (as in `ParameterSpec`), value, description, expected, choices, low and
    high; the last two are None without a limit.

    Args:
        node: Owner of the clients.
        target: Full name of the node whose parameters they are.
        show: Called with the rows when they have changed.
    """

    def __init__(self, node: Node, target: str, show: Callable[[Rows], None]) -> None:
        self._target = target
        self._show = show
        self._rows: dict[str, dict[str, Any]] = {}
        self._wanted = True
        self._asked_at = -math.inf
        self._round = 0
        self._clients: dict[Any, Client] = {
            kind: node.create_client(kind, f"{target}/{name}")
            for kind, name in (
                (ListParameters, "list_parameters"),
                (DescribeParameters, "describe_parameters"),
                (GetParameters, "get_parameters"),
                (SetParameters, "set_parameters"),
            )
        }
        node.create_subscription(ParameterEvent, "/parameter_events", self._follow, 100)

    def renew(self) -> None:
        """Read them anew: the node is another one, or has others."""
        self._wanted = True
        self._asked_at = -math.inf

    def tick(self) -> None:
        """Go on reading them where that is due; call it about once a second."""
        if not self._wanted or time.monotonic() - self._asked_at < _PATIENCE:
            return
        if not all(client.service_is_ready() for client in self._clients.values()):
            return
        self._asked_at = time.monotonic()
        self._round += 1
        self._ask(ListParameters, self._describe)

    def set(self, name: str, text: str, answer: Callable[[str], None]) -> None:
        """Set one of them.

        Args:
            name: Its name.
            text: The value, as people write it.
            answer: Called with why it was refused, or with nothing.
        """
        row, client = self._rows.get(name), self._clients[SetParameters]
        if row is None:
            answer(f"{name}: expected a parameter that may change at run time")
        elif not client.service_is_ready():
            answer(f"{self._target} is not there")
        else:
            value = value_from_text(text, row["kind"])
            if row["kind"] == STRINGS:
                value = value or [""]  # rclpy has no type for []
            try:
                parameter = Parameter(name, value=value).to_parameter_msg()
                future = client.call_async(SetParameters.Request(parameters=[parameter]))
            except (AssertionError, OverflowError, UnicodeError):  # no message holds that
                answer(f"{name}: expected {row['expected']}, got {text!r}")
                return

            def settle(done: Any) -> None:
                [result] = done.result().results
                answer("" if result.successful else result.reason or "refused")

            future.add_done_callback(settle)

    def _ask(self, kind: Any, then: Callable[[Any], None], **fields: Any) -> None:
        """Ask the node; an answer to a question of an earlier round is not heard."""
        asked_in = self._round

        def hear(future: Any) -> None:
            if self._round == asked_in:
                then(future.result())

        self._clients[kind].call_async(kind.Request(**fields)).add_done_callback(hear)

    def _describe(self, response: Any) -> None:
        self._ask(DescribeParameters, self._read, names=list(response.result.names))

    def _read(self, response: Any) -> None:
        described = [each for each in response.descriptors if may_change_at_run_time(each)]
        names = [each.name for each in described]
        self._ask(GetParameters, lambda got: self._take(described, got.values), names=names)

    def _take(
        self, described: Sequence[ParameterDescriptor], values: Sequence[ParameterValue]
    ) -> None:
        self._rows = {
            each.name: _row(each, value)
            for each, value in zip(described, values, strict=True)
            if kind_of(each)
        }
        self._wanted = False
        self._show(list(self._rows.values()))

    def _follow(self, event: ParameterEvent) -> None:
        if event.node != self._target:
            return
        changed = {each.name: each.value for each in event.changed_parameters}
        for name in changed.keys() & self._rows.keys():
            self._rows[name] = {**self._rows[name], "value": _python(changed[name])}
        if changed.keys() & self._rows.keys():
            self._show(list(self._rows.values()))


def _row(described: ParameterDescriptor, value: ParameterValue) -> dict[str, Any]:
    expected = described.additional_constraints
    choices = expected.removeprefix(_CHOICES).split(", ") if expected.startswith(_CHOICES) else []
    low = high = None
    for limits in (*described.integer_range, *described.floating_point_range):
        low, high = _limit(limits.from_value), _limit(limits.to_value)
    return {
        "name": described.name,
        "kind": kind_of(described),
        "value": _python(value),
        "description": described.description,
        "expected": expected,
        "choices": choices,
        "low": low,
        "high": high,
    }


def _limit(value: float) -> float | None:
    """A limit; None for what the largest integer or infinity stand for."""
    return value if abs(value) < 2**53 else None


def _python(value: ParameterValue) -> Any:
    """The value as JSON has it."""
    python: Any = parameter_value_to_python(value)
    if isinstance(python, (list, tuple)) or hasattr(python, "tolist"):
        return [item for item in python if item != ""]
    return python
