# SPDX-License-Identifier: Apache-2.0
"""What a row of a table of parameters is, and which values it takes."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
)

from yolact_ros.errors import InputError

STRING, INTEGER, FLOAT, BOOLEAN = "string", "integer", "float", "boolean"
STRINGS, FLOATS, INTEGERS = "string array", "float array", "integer array"
LISTS = (STRINGS, FLOATS, INTEGERS)

_TYPE_CODES = {
    STRING: ParameterType.PARAMETER_STRING,
    INTEGER: ParameterType.PARAMETER_INTEGER,
    FLOAT: ParameterType.PARAMETER_DOUBLE,
    BOOLEAN: ParameterType.PARAMETER_BOOL,
    STRINGS: ParameterType.PARAMETER_STRING_ARRAY,
    FLOATS: ParameterType.PARAMETER_DOUBLE_ARRAY,
    INTEGERS: ParameterType.PARAMETER_INTEGER_ARRAY,
}

_ONLY_AT_START = "; only at the start"
_ONLY_UNCONFIGURED = "; only while the node is unconfigured"

_LARGEST_INTEGER = 2**63 - 1

_UNSET = ("null", "Null", "NULL", "~")
"""How YAML writes that there is no value; rcl hands it on as text."""

_KINDS = {
    str: STRING,
    int: INTEGER,
    float: FLOAT,
    bool: BOOLEAN,
    tuple[str, ...]: STRINGS,
    tuple[float, ...]: FLOATS,
    tuple[int, ...]: INTEGERS,
}


class ParameterError(InputError):
    """A parameter has an unusable value; the message names it, its range and the value."""


@dataclass(frozen=True, kw_only=True)
class ParameterSpec:
    """One row of the table.

    Attributes:
        name: Name as users write it, including dots.
        kind: STRING, INTEGER, FLOAT, BOOLEAN, STRINGS, FLOATS or INTEGERS.
        default: Value if none is given; of the kind's Python type, a tuple for an array.
        description: A sentence or two, with the unit.
        minimum: Smallest number allowed; None: no limit.
        maximum: Largest number allowed; None: no limit.
        choices: Strings allowed; empty: any.
        expected: Description of what `accepts` allows.
        accepts: A further check of a string or a tuple; None: no check.
        at_run_time: Whether it may change while the node is configured.
        only_at_start: Whether it cannot change at all once the node has started.
        is_path: Whether a string is the path of a file; `~` and relative paths are made absolute.
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
    only_at_start: bool = False
    is_path: bool = False

    @property
    def constraint(self) -> str:
        """Description of the allowed values, for errors, descriptors and docs/parameters.md."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.expected:
            return self.expected
        if self.kind == STRINGS:
            return "a list of strings"
        if self.kind == FLOATS:
            return "a list of numbers"
        if self.kind == INTEGERS:
            return "a list of integers"
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

        Integers are accepted for floats, in lists too, and for strings; nothing, `null` and `~` for
        an empty string or list of strings, and `['']` for such a list (rclpy has no type for `[]`).

        Raises:
            ParameterError: The value is of another type or out of range.
        """
        try:
            checked = self._coerce(value)
        except TypeError:
            raise ParameterError(
                f"{self.name}: expected {self.constraint}, got {_describe(value)}"
                f"{self._remedy(value)}"
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
            return _texts(value)
        if self.kind == FLOATS:
            return tuple(float(item) for item in _numbers(value, (int, float)))
        if self.kind == INTEGERS:
            return tuple(_numbers(value, int))
        if self.kind == STRING:
            text = _text(value)
            return os.path.abspath(os.path.expanduser(text)) if self.is_path and text else text
        if self.kind == BOOLEAN and isinstance(value, bool):
            return value
        if self.kind == INTEGER and isinstance(value, int) and not isinstance(value, bool):
            return value
        if self.kind == FLOAT and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        raise TypeError

    def _remedy(self, value: Any) -> str:
        """What to write instead of a value of another type, where that is clear."""
        if self.kind == STRINGS and isinstance(value, str):
            return f"; write [{', '.join(name.strip() for name in value.split(','))}]"
        if self.kind in (STRING, STRINGS):
            return "; put text that YAML reads as a number or as true or false in quotes"
        return ""

    def _in_range(self, value: float) -> bool:
        # A NaN fails both comparisons, and is refused.
        low = self.minimum is None or value >= self.minimum
        high = self.maximum is None or value <= self.maximum
        return low and high and value == value

    def descriptor(self) -> ParameterDescriptor:
        """What rclpy is told: no range and any type, so that it leaves the checks to `check`."""
        return ParameterDescriptor(
            name=self.name,
            type=_TYPE_CODES[self.kind],
            description=self.description,
            additional_constraints=self.constraint + self._when,
            dynamic_typing=True,
        )

    def shown_descriptor(self) -> ParameterDescriptor:
        """What others are told: the range and whether it is read-only as well."""
        descriptor = self.descriptor()
        descriptor.read_only = self.only_at_start
        if self.minimum is not None and self.kind == INTEGER:
            most = _LARGEST_INTEGER if self.maximum is None else int(self.maximum)
            descriptor.integer_range = [
                IntegerRange(from_value=int(self.minimum), to_value=most, step=0)
            ]
        if self.minimum is not None and self.kind == FLOAT:
            most_of_all = math.inf if self.maximum is None else float(self.maximum)
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(self.minimum), to_value=most_of_all, step=0.0)
            ]
        return descriptor

    @property
    def _when(self) -> str:
        """When it may change, for descriptors."""
        if self.only_at_start:
            return _ONLY_AT_START
        return "" if self.at_run_time else _ONLY_UNCONFIGURED


def kind_of(described: ParameterDescriptor) -> str:
    """Return the kind of a parameter that a node describes; empty: it is none of a table's."""
    return next((kind for kind, code in _TYPE_CODES.items() if code == described.type), "")


def may_change_at_run_time(described: ParameterDescriptor) -> bool:
    """Whether a parameter that a node describes is a table's, and may change while it works."""
    text = described.additional_constraints
    return bool(text) and not text.endswith((_ONLY_AT_START, _ONLY_UNCONFIGURED))


def parameter(default: Any, description: str, **row: Any) -> Any:
    """Declare a parameter as a field of a dataclass: its name and type are those of the field.

    Args:
        default: Value if none is given.
        description: A sentence or two, with the unit.
        row: Other attributes of `ParameterSpec`; `name`, if it is not that of the field.
    """
    return field(default=default, metadata={"description": description, **row})


def table_of(settings: type, **common: Any) -> tuple[ParameterSpec, ...]:
    """Return the table that the fields of a dataclass declare, in their order.

    Args:
        settings: The dataclass.
        common: Attributes that every row has.
    """
    types = get_type_hints(settings)
    rows: list[dict[str, Any]] = [
        {"name": item.name, "kind": _KINDS[types[item.name]], "default": item.default}
        | common
        | dict(item.metadata)
        for item in fields(settings)
        if item.metadata
    ]
    return tuple(ParameterSpec(**row) for row in rows)


def _text(value: Any) -> str:
    """The text of a string, of an integer, or of nothing; else a TypeError."""
    if value is None or (isinstance(value, str) and value in _UNSET):
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    """The texts of a list of strings, or of nothing; else a TypeError."""
    if value is None or (isinstance(value, str) and value in _UNSET):
        return ()
    if isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise TypeError
    return () if list(value) == [""] else tuple(value)


def _numbers(value: Any, kinds: type | tuple[type, ...]) -> list[Any]:
    """The numbers of a list; else a TypeError."""
    if value is None or isinstance(value, (str, bytes)):
        raise TypeError
    if not all(isinstance(item, kinds) and not isinstance(item, bool) for item in value):
        raise TypeError
    return list(value)


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    kind = {bool: "boolean", int: "integer", float: "float", str: "string"}.get(type(value), "list")
    return f"{list(value)!r}" if kind == "list" else f"{value!r} ({kind})"
