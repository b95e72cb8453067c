# SPDX-License-Identifier: Apache-2.0
"""Values of parameters from text, as a launch argument has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from yolact_ros.ros.parameters.spec import (
    BOOLEAN,
    FLOAT,
    FLOATS,
    INTEGER,
    INTEGERS,
    STRING,
    STRINGS,
)

_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_READERS: dict[str, Callable[[str], Any]] = {
    STRING: str,
    INTEGER: int,
    FLOAT: float,
    BOOLEAN: lambda text: _TRUTHS[text.strip().lower()],
    STRINGS: lambda text: list_from_text(text),
    FLOATS: lambda text: [float(part) for part in list_from_text(text)],
    INTEGERS: lambda text: [int(part) for part in list_from_text(text)],
}


def value_from_text(text: str, kind: str) -> Any:
    """Return the value that a text stands for, or the text itself if it is none of that kind.

    So the node refuses it with the same words as one from a file.

    >>> value_from_text("1", FLOAT), value_from_text("a lot", FLOAT), value_from_text("1", STRING)
    (1.0, 'a lot', '1')

    Args:
        text: The text.
        kind: Kind of the parameter, as in `ParameterSpec`.
    """
    try:
        return _READERS[kind](text)
    except (ValueError, KeyError):
        return text


def list_from_text(text: str) -> list[str]:
    """Return the strings in a list, written with commas or as YAML does.

    >>> list_from_text("front, rear"), list_from_text("['1', yes]"), list_from_text("")
    (['front', 'rear'], ['1', 'yes'], [])
    """
    if text.strip().startswith("["):
        try:
            # a loader that makes no numbers or booleans of them
            return [str(item) for item in yaml.load(text, Loader=yaml.BaseLoader)]
        except yaml.YAMLError:
            pass  # the brackets stay in the names, which are then refused
    return [part.strip() for part in text.split(",") if part.strip()]
