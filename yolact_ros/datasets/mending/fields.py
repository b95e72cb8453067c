# SPDX-License-Identifier: Apache-2.0
"""Reads ids and numbers in the forms in which programs write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .causes import LISTED_TWICE, NO_ENTRIES, TEXT_IDS, TEXT_NUMBERS, Findings, mismatch

Key = int | str
"""An id: a whole number, or a text that is none."""

_LARGEST = 1e15
_WHOLE = re.compile(r"\s*[+-]?\d{1,30}(\.0*)?\s*", re.ASCII)


def whole_number(value: Any) -> int | None:
    """Read 7, 7.0, "7" or "7.0"; None for anything else."""
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is str and _WHOLE.fullmatch(value):
        return int(value.partition(".")[0])
    return None


def finite_number(value: Any) -> float | None:
    """Read 7, 7.5 or "7.5"; None for NaN, infinity, what no picture has, and anything else."""
    if type(value) is str:
        try:
            value = float(value)
        except ValueError:
            return None
    if type(value) in (int, float) and -_LARGEST < value < _LARGEST:
        return value
    return None


def key_of(value: Any) -> Key | None:
    """Read an id; None for what is none."""
    number = whole_number(value)
    if number is None and isinstance(value, str) and value.strip():
        return value
    return number


def entries_by_key(
    entries: Sequence[Any], plural: str, findings: Findings
) -> dict[Key, list[tuple[int, dict[str, Any]]]]:
    """Group a list's entries by their id, each with its place in the list.

    Entries that are no objects or have no id are left out, and so is what is listed twice alike.
    """
    groups: dict[Key, list[tuple[int, dict[str, Any]]]] = {}
    for index, entry in enumerate(entries):
        where = f"{plural}[{index}]"
        if not isinstance(entry, dict):
            findings.add(NO_ENTRIES, where, mismatch("", "an object", entry))
            continue
        key = key_of(entry.get("id"))
        if key is None:
            findings.add(NO_ENTRIES, where, mismatch("id", "a whole number", entry.get("id")))
            continue
        if type(entry["id"]) is not int:
            cause = TEXT_NUMBERS if type(key) is int else TEXT_IDS
            findings.add(cause, where, mismatch("id", "a whole number", entry["id"]))
        group = groups.setdefault(key, [])
        if any(other == entry for _, other in group):
            findings.add(LISTED_TWICE, where, f"expected another entry, got that of id {key} again")
        else:
            group.append((index, entry))
    return groups


def numbers_for(keys: Iterable[Key]) -> dict[Key, int]:
    """Number the texts among ids, from the largest number on."""
    keys = list(keys)
    free = unused(key for key in keys if isinstance(key, int))
    return {key: key if isinstance(key, int) else next(free) for key in keys}


def unused(numbers: Iterable[int]) -> Iterator[int]:
    """Yield whole numbers above all that are in use, from 1 on."""
    number = max(numbers, default=0)
    number = max(number, 0)
    while True:
        number += 1
        yield number
