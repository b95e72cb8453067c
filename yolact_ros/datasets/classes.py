# SPDX-License-Identifier: Apache-2.0
"""Takes some of the classes of a data set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from yolact_ros.errors import InputError


def keep_classes(
    contents: Sequence[Mapping[str, Any]], names: Collection[str]
) -> list[dict[str, Any]]:
    """Leave out the other categories of some files, and all annotations that are of none.

    Pictures that show nothing of these classes stay: they show what is background.

    Args:
        contents: As `problems.read_content` returns them.
        names: Names of the classes to keep, as in the files; none: all.

    Raises:
        InputError: A class is in none of the files.
    """
    if not names:
        return [dict(content) for content in contents]
    kept = [_keep(content, names) for content in contents]
    found = {each["name"] for content in kept for each in content["categories"]}
    if unknown := [name for name in names if name not in found]:
        known = dict.fromkeys(name for content in contents for name in _names(content))
        raise InputError(
            f"classes: expected names among {', '.join(known)}, got {', '.join(unknown)}"
        )
    return kept


def _keep(content: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    kept = [
        each
        for each in content["categories"]
        if isinstance(each, dict) and each.get("name") in names
    ]
    # As text: ids that are written in another way are mended, or refused, afterwards.
    ids = {str(each.get("id")) for each in kept}
    annotations = [
        each
        for each in content["annotations"]
        if not isinstance(each, dict) or str(each.get("category_id")) in ids
    ]
    return {**content, "categories": kept, "annotations": annotations}


def _names(content: Mapping[str, Any]) -> list[str]:
    categories = content["categories"]
    return [str(each.get("name")) for each in categories if isinstance(each, dict)]


def names_alike(names: Iterable[str]) -> list[list[str]]:
    """Group the names that differ in case and spaces alone."""
    by_form: dict[str, list[str]] = {}
    for name in names:
        by_form.setdefault(" ".join(name.lower().split()), []).append(name)
    return [group for group in by_form.values() if len(group) > 1]
