# SPDX-License-Identifier: Apache-2.0
"""What a check found: its level, the cause, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from yolact_ros.errors import first_line

OK, WARNING, ERROR, NOT_CHECKED = "ok", "warning", "error", "not checked"
LEVELS = (OK, WARNING, ERROR, NOT_CHECKED)


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: Of the check, such as "weights".
        level: One of `LEVELS`.
        found: What is there, in words.
        remedy: What to do, in words; empty where nothing is wrong.
    """

    name: str
    level: str
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> Finding:
    """Nothing is wrong."""
    return Finding(name, OK, found)


def warning(name: str, found: str, remedy: str) -> Finding:
    """It works, but slowly, or not in every case."""
    return Finding(name, WARNING, found, remedy)


def error(name: str, found: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(name, ERROR, found, remedy)


def not_checked(name: str, why: str, remedy: str = "") -> Finding:
    """It could not be told, or nobody asked."""
    return Finding(name, NOT_CHECKED, why, remedy)


def examine(name: str, check: Callable[[], Finding | Iterable[Finding]]) -> Iterator[Finding]:
    """Run a check; whatever it raises becomes a finding, and the next one is run.

    Args:
        name: Used where it raises.
        check: Returns one finding or several.
    """
    try:
        found = check()
        yield from [found] if isinstance(found, Finding) else found
    except ModuleNotFoundError as failure:
        remedy = "pip install -r requirements/core.txt, into the environment that is in use"
        yield not_checked(name, f"the package {failure.name} is not installed", remedy)
    except Exception as failure:  # a check that fails must not hide what the others find
        yield not_checked(name, f"{type(failure).__name__}: {first_line(failure)}")
