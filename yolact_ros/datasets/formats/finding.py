# SPDX-License-Identifier: Apache-2.0
"""Finds the pictures that label files belong to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from yolact_ros.datasets.pictures import PICTURE_SUFFIXES


def find_pictures(folder: Path) -> Iterator[Path]:
    """Yield the pictures in a folder and all below it, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
            yield path


class PictureFinder:
    """Finds pictures by the names that label files give."""

    def __init__(self) -> None:
        self._stems: dict[Path, dict[str, Path]] = {}

    def find(self, folder: Path, name: str) -> Path | None:
        """Find a picture by its path from a folder, its name alone, or its name but the suffix.

        Args:
            folder: Where to look, not below it.
            name: Path of the picture; back slashes separate folders, too.
        """
        wanted = Path(name.replace("\\", "/"))
        for path in (folder / wanted, folder / wanted.name):
            if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
                return path
        return self.find_stem(folder, wanted.stem)

    def find_stem(self, folder: Path, stem: str) -> Path | None:
        """Find a picture in a folder by its name without suffix."""
        if folder not in self._stems:
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            self._stems[folder] = {
                path.stem: path for path in files if path.suffix.lower() in PICTURE_SUFFIXES
            }
        return self._stems[folder].get(stem)
