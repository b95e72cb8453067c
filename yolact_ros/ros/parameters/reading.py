# SPDX-License-Identifier: Apache-2.0
"""Parameters declared from a table, and checked here instead of by rclpy.

rclpy refuses a start value that is out of range or an integer for a float by raising in
`declare_parameter`, which would kill the node in its constructor. So every parameter is declared
with dynamic typing and without a range, and its value is checked when it is read or set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from rcl_interfaces.msg import ParameterDescriptor, ParameterType
from rclpy.node import Node

from yolact_ros.errors import InputError

STRING, INTEGER, FLOAT, BOOLEAN, STRINGS = "string", "integer", "float", "boolean", "string array"

_TYPE_CODES = {
    STRING: ParameterType.PARAMETER_STRING,
    INTEGER: ParameterType.PARAMETER_INTEGER,
    FLOAT: ParameterType.PARAMETER_DOUBLE,
    BOOLEAN: ParameterType.PARAMETER_BOOL,
    STRINGS: ParameterType.PARAMETER_STRING_ARRAY,
}

_KINDS = {str: STRING, int: INTEGER, float: FLOAT, bool: BOOLEAN, tuple[str, ...]: STRINGS}


class ParameterError(InputError):
    """A parameter has an unusable value; the message names it, its range and the value."""


@dataclass(frozen=True, kw_only=True)
class ParameterSpec:
    """One row of the table.

    Attributes:
        name: Name as users write it, including dots.
        kind: STRING, INTEGER, FLOAT, BOOLEAN or STRINGS.
        default: Value if none is given; of the kind's Python type, a tuple for STRINGS.
        description: A sentence or two, with the unit.
        minimum: Smallest number allowed; None: no limit.
        maximum: Largest number allowed; None: no limit.
        choices: Strings allowed; empty: any.
        expected: Description of what `accepts` allows.
        accepts: A further check of a string or a tuple of strings; None: no check.
        at_run_time: Whether it may change while the node is configured.
    """

    name: str
    kind: str
    default: Any
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    expected: str = ""
    accepts: Callable[[Any], bool] | None = None
    at_run_time: bool = False

    @property
    def constraint(self) -> str:
        """Description of the allowed values, for errors, descriptors and the README."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.expected:
            return self.expected
        if self.kind == STRINGS:
            return "a list of strings"
        if self.kind == BOOLEAN:
            return "true or false"
        if self.kind == STRING:
            return "a string"
        noun = "an integer" if self.kind == INTEGER else "a number"
        if self.minimum is not None and self.maximum is not None:
            return f"{noun} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{noun} of at least {self.minimum:g}"
        return noun

    def check(self, value: Any) -> Any:
        """Return the value in the kind's Python type.

        Integers are accepted for floats, unset for an empty string or list, and `['']` for an
        empty list (rclpy has no type for `[]`).

        Raises:
            ParameterError: The value is of another type or out of range.
        """
        try:
            checked = self._coerce(value)
        except TypeError:
            raise ParameterError(
                f"{self.name}: expected {self.constraint}, got {_describe(value)}"
            ) from None
        numeric = self.kind in (INTEGER, FLOAT)
        if (
            (numeric and not self._in_range(checked))
            or (self.choices and checked not in self.choices)
            or (self.accepts is not None and not self.accepts(checked))
        ):
            raise ParameterError(f"{self.name}: expected {self.constraint}, got {_describe(value)}")
        return checked

    def _coerce(self, value: Any) -> Any:
        if self.kind == STRINGS:
            if value is None or len(value) == 0:
                return ()
            if isinstance(value, str) or not all(isinstance(item, str) for item in value):
                raise TypeError
            return () if list(value) == [""] else tuple(value)
        if self.kind == STRING and value is None:
            return ""
        if self.kind == BOOLEAN and isinstance(value, bool):
            return value
        if self.kind == STRING and isinstance(value, str):
            return value
        if self.kind == INTEGER and isinstance(value, int) and not isinstance(value, bool):
            return value
        if self.kind == FLOAT and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        raise TypeError

    def _in_range(self, value: float) -> bool:
        # A NaN fails both comparisons, and is refused.
        low = self.minimum is None or value >= self.minimum
        high = self.maximum is None or value <= self.maximum
        return low and high and value == value

    def descriptor(self) -> ParameterDescriptor:
        return ParameterDescriptor(
            name=self.name,
            type=_TYPE_CODES[self.kind],
            description=self.description,
            additional_constraints=self.constraint
            + ("" if self.at_run_time else "; only while the node is unconfigured"),
            dynamic_typing=True,
        )


def parameter(default: Any, description: str, **row: Any) -> Any:
    """Declare a parameter as a field of a dataclass: its name and type are those of the field.

    Args:
        default: Value if none is given.
        description: A sentence or two, with the unit.
        row: Other attributes of `ParameterSpec`; `name`, if it is not that of the field.
    """
    return field(default=default, metadata={"description": description, **row})


def table_of(settings: type) -> tuple[ParameterSpec, ...]:
    """Return the table that the fields of a dataclass declare, in their order."""
    types = get_type_hints(settings)
    rows: list[dict[str, Any]] = [
        {"name": item.name, "kind": _KINDS[types[item.name]], "default": item.default}
        | dict(item.metadata)
        for item in fields(settings)
    ]
    return tuple(ParameterSpec(**row) for row in rows)


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    kind = {bool: "boolean", int: "integer", float: "float", str: "string"}.get(type(value), "list")
    return f"{list(value)!r}" if kind == "list" else f"{value!r} ({kind})"


def declare(node: Node, table: Iterable[ParameterSpec]) -> None:
    """Declare every parameter of the table; never raises for a start value."""
    for spec in table:
        default = (list(spec.default) or [""]) if spec.kind == STRINGS else spec.default
        node.declare_parameter(spec.name, default, spec.descriptor())


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
    """Return the table as the README shows it between its two markers."""
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
