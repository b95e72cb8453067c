# SPDX-License-Identifier: Apache-2.0
"""The images that a data set lists, whose ids `yolact-ros predict --annotations` keeps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from yolact_ros.errors import InputError

from .sources import Source


class KnownImages:
    """The images of a data set in COCO's format, which needs no annotations.

    Args:
        path: The JSON file.

    Attributes:
        path: The file.
        categories: Its categories, which may be none.

    Raises:
        InputError: It is no such file.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: expected JSON, got: {error}") from error
        if not isinstance(content, dict):
            content = {}
        images: Any = content.get("images")
        categories: Any = content.get("categories") or []
        if not _are_entries(images, "file_name") or not _are_entries(categories, "name"):
            raise InputError(
                f"{path}: expected a data set in COCO's format: a list images of entries with a "
                "number as id and a file_name, and categories with id and name, or none; "
                "`yolact-ros dataset check` tells what is wrong"
            )
        self.path = path
        self.categories: list[dict[str, Any]] = categories
        self._left = {image["id"]: image for image in images}
        if len(self._left) != len(images):
            raise InputError(f"{path}: expected images of different ids, got some twice")
        self._by_file: dict[str, list[tuple[PurePosixPath, int]]] = {}
        for image in images:
            name = PurePosixPath(image["file_name"].replace("\\", "/"))
            self._by_file.setdefault(name.name, []).append((name, image["id"]))

    def select(self, sources: Sequence[Source]) -> list[tuple[Source, dict[str, Any]]]:
        """Find the entries of pictures by their names; those that it does not list are left out.

        Folders before the file's name count as far as both name them, for the one or the other may
        be relative to a folder above.

        Raises:
            InputError: It lists none of them.
        """
        found = []
        for source in sources:
            image = self._find(source)
            if image is not None:
                found.append((source, image))
        if not found:
            raise InputError(
                f"--annotations: expected images of {self.path} among the inputs, such as "
                f"{self._example()}, got none of them, but {sources[0].name}"
            )
        return found

    @property
    def not_found(self) -> int:
        """Number of its images that were not among the pictures so far."""
        return len(self._left)

    def _find(self, source: Source) -> dict[str, Any] | None:
        path = PurePosixPath(source.path.as_posix())
        candidates = self._by_file.get(path.name, [])
        matching = [key for name, key in candidates if name == PurePosixPath(source.name)]
        if not matching:
            matching = [key for name, key in candidates if _agree(name, path)]
        return self._left.pop(matching[0], None) if len(matching) == 1 else None

    def _example(self) -> str:
        return str(next(iter(self._left.values()))["file_name"])


def _are_entries(entries: object, text: str) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and type(entry.get("id")) is int
        and isinstance(entry.get(text), str)
        for entry in entries
    )


def _agree(one: PurePosixPath, other: PurePosixPath) -> bool:
    """Whether two paths have the same end, as long as the shorter one."""
    length = min(len(one.parts), len(other.parts))
    return one.parts[-length:] == other.parts[-length:]
