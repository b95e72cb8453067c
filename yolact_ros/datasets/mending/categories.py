# SPDX-License-Identifier: Apache-2.0
"""Checks and mends the categories of a file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from .causes import (
    BACKGROUNDS,
    LISTED_TWICE,
    NO_NAMES,
    SHARED_IDS,
    SHARED_NAMES,
    SUPERCATEGORIES,
    Findings,
    mismatch,
)
from .fields import Key, entries_by_key, numbers_for

_BACKGROUND = {"background", "_background_", "__background__"}


@dataclass(frozen=True)
class Categories:
    """The categories of a file.

    Attributes:
        ids: Id of each category in the mended set, by its id in the file; None: left out.
        by_name: The same by its name, for annotations that refer to it so.
        entries: Those that are kept, by id.
    """

    ids: dict[Key, int | None]
    by_name: dict[str, int]
    entries: dict[int, dict[str, Any]]

    def without_parents(self, used: Collection[int], findings: Findings) -> list[dict[str, Any]]:
        """Return the entries without those that stand for a group of classes or for none.

        Args:
            used: Ids that annotations refer to; these stay.
            findings: Takes what is left out.
        """
        parents = {
            parent
            for entry in self.entries.values()
            if isinstance(parent := entry.get("supercategory"), str) and parent != entry["name"]
        } - {"none"}
        kept = list(self.entries.values())
        for number, entry in self.entries.items():
            if number in used or len(kept) == 1:
                continue
            where = f"category {number} ({entry['name']})"
            if entry["name"] in parents:
                text = "expected a class, got what other categories name as their supercategory"
                findings.add(SUPERCATEGORIES, where, text)
            elif entry["name"].strip().lower() in _BACKGROUND:
                findings.add(BACKGROUNDS, where, "expected a class of objects")
            else:
                continue
            kept.remove(entry)
        return kept


def check_categories(entries: Sequence[Any], findings: Findings) -> Categories:
    """Check the list of categories."""
    groups = entries_by_key(entries, "categories", findings)
    numbers = numbers_for(groups)
    ids: dict[Key, int | None] = dict.fromkeys(groups)
    by_name: dict[str, int] = {}
    kept: dict[int, dict[str, Any]] = {}
    for key, group in groups.items():
        where, (_, entry) = f"category {key}", group[0]
        name = entry.get("name")
        for index, other in group[1:]:
            text = f"id: expected one category with this id, got another at categories[{index}]"
            cause = LISTED_TWICE if other.get("name") == name else SHARED_IDS
            findings.add(cause, where, text)
        if any(other.get("name") != name for _, other in group):
            continue
        if not isinstance(name, str) or not name.strip():
            findings.add(NO_NAMES, where, mismatch("name", "a text that is not empty", name))
        elif name in by_name:
            text = f"name: expected a name of its own, got {name!r} as in category {by_name[name]}"
            findings.add(SHARED_NAMES, where, text)
            ids[key] = by_name[name]
        else:
            by_name[name] = number = numbers[key]
            ids[key] = number
            kept[number] = entry if type(entry["id"]) is int else {**entry, "id": number}
    return Categories(ids, by_name, kept)
