# SPDX-License-Identifier: Apache-2.0
"""Finds pictures whose names in the file lead nowhere, and guesses why they do."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import parse_qs, unquote, urlsplit

from yolact_ros.datasets.pictures import PICTURE_SUFFIXES

_MOST_FILES = 2_000_000
"""A folder with more files is no folder of pictures: no more of them are looked at."""

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_UPLOADED = re.compile(r"[0-9a-f]{6,12}-(.+)")
"""Label Studio puts some digits before the names of uploaded files."""

_OF_PICTURES = re.compile("image|img|picture|photo|jpe?g", re.IGNORECASE)
_SHOWN = 3
_TRIED = 20  # missing pictures that are looked for in other folders


class Place(NamedTuple):
    """Where a picture is.

    Attributes:
        path: Relative to the folder, with slashes.
        habit: Why the name in the file does not lead there.
    """

    path: str
    habit: str


class Search:
    """Finds pictures below a folder by what is left of their names; lists the folder once."""

    def __init__(self, folder: Path) -> None:
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for path in files_below(folder):
            name = _folded(PurePosixPath(path).name)
            self._by_name[name].append(path)
            if PurePosixPath(name).suffix in PICTURE_SUFFIXES:
                self._by_stem[PurePosixPath(name).stem].append(path)

    def find(self, file_name: str) -> Place | None:
        """Find the one picture that a name most probably means, or None."""
        parts = parts_of(file_name)
        if not parts:
            return None
        last = _folded(parts[-1])
        uploaded = _UPLOADED.fullmatch(last)
        for candidates, habit in (
            (self._by_name.get(last, []), ""),
            (self._by_name.get(uploaded[1], []) if uploaded else [], "digits before the names"),
            (self._by_stem.get(PurePosixPath(last).stem, []), "names with another ending"),
        ):
            path = _nearest(parts, candidates)
            if path is not None:
                return Place(path, habit or _habit(file_name, path))
        return None


def parts_of(file_name: str) -> list[str]:
    """Take a name apart: folders and file, without drive, server and ways up."""
    name = file_name
    if "://" in name or name.startswith("/data/local-files/"):
        with suppress(ValueError):  # of what only looks like an address
            address = urlsplit(name)
            name = parse_qs(address.query).get("d", [address.path])[0]
    name = unquote(name)
    if _DRIVE.match(name):
        name = name[3:]
    name = name.replace("\\", "/")
    return [part for part in name.split("/") if part not in ("", ".", "..")]


def guess_folder(file_names: Sequence[str], folder: Path) -> Iterator[str]:
    """Say in which other folder the first missing pictures are, and what is odd about the names."""
    tried = file_names[:: max(len(file_names) // _TRIED, 1)]
    ways = [parts_of(name) for name in tried]
    last = [way[-1:] for way in ways]
    for files, text in ((ways, "They"), (last, "Files of these names")):
        there = _folders_with(files, folder)
        if there:
            options = " or ".join(f"`--images {each}`" for each in there[:_SHOWN])
            yield f"is --images right? {text} are there with {options}"
            break
    if odd := next(filter(None, map(_oddity, tried)), ""):
        yield f"{odd}, such as {next(filter(_oddity, tried))!r}"


def _folders_with(ways: Sequence[Sequence[str]], folder: Path) -> list[Path]:
    """Return the folders that have all these files: those below, or else above, or else beside."""
    above = folder.resolve().parents
    beside = _folders_in(above[0]) if above else []
    for folders in (_folders_in(folder), above[:3], beside):
        there = [
            each
            for each in folders
            if all(way and os.path.isfile(each.joinpath(*way)) for way in ways)
        ]
        if there:
            return there
    return []


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, those first that sound like pictures."""
    try:
        inner = [entry for entry in folder.iterdir() if entry.is_dir()]
    except OSError:
        return []
    return sorted(inner, key=lambda entry: (not _OF_PICTURES.search(entry.name), entry))


def files_below(folder: Path) -> Iterator[str]:
    """Yield the paths of the files below a folder, relative to it, with slashes."""
    left = _MOST_FILES
    for place, _, names in os.walk(folder):
        inner = Path(place).relative_to(folder).as_posix()
        for name in names:
            yield name if inner == "." else f"{inner}/{name}"
        left -= len(names)
        if left < 0:
            return


def _nearest(parts: Sequence[str], candidates: Sequence[str]) -> str | None:
    """Choose the path with most folders in common; None if there is none or more than one."""
    wanted = [_folded(part) for part in parts[:-1]]

    def in_common(path: str) -> int:
        count = 0
        for mine, other in zip(
            reversed(wanted), reversed(_folded(path).split("/")[:-1]), strict=False
        ):
            if mine != other:
                break
            count += 1
        return count

    best = max(map(in_common, candidates), default=0)
    nearest = [path for path in candidates if in_common(path) == best]
    return nearest[0] if len(nearest) == 1 else None


def _habit(file_name: str, path: str) -> str:
    if odd := _oddity(file_name):
        return odd
    if PurePosixPath(file_name).name == PurePosixPath(path).name:
        return "names of another folder level"
    if PurePosixPath(file_name).name.casefold() == PurePosixPath(path).name.casefold():
        return "names in other upper and lower case"
    return "names in another Unicode form (accents as characters of their own)"


def _oddity(file_name: str) -> str:
    """Say what is odd about a name, whatever files there are."""
    if "?d=" in file_name or file_name.startswith("/data/"):
        return "addresses of Label Studio's server"
    if "://" in file_name:
        return "addresses of a server"
    if "\\" in file_name:
        return "names with back slashes, as Windows writes them"
    if file_name.startswith("/"):
        return "paths of another machine"
    if ".." in file_name.split("/"):
        return "paths that lead out of the folder"
    if "%" in file_name:
        return "names with percent signs, as in addresses"
    return ""


def _folded(text: str) -> str:
    return normalize("NFC", text).casefold()
