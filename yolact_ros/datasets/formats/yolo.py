# SPDX-License-Identifier: Apache-2.0
"""Reads YOLO's labels: a text file of polygons for each picture, from 0 to 1 of its sides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from yolact_ros.datasets.pictures import look_at
from yolact_ros.errors import InputError

from .collection import Collection, Imported
from .finding import find_pictures

PARTS = ("train", "val", "test")
"""The parts of a data set that a data.yaml may name."""

_NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels")
_LOOKED_AT = 20  # text files, to tell what they are
_BEYOND = 0.1  # of the picture's side: more than tools round


def description_of(source: Path) -> Path | None:
    """Find the YAML file that describes a data set: the file itself, or the only one in a folder.

    None if there is none that names classes.
    """
    files = [source] if source.is_file() else sorted(source.glob("*.y*ml"))
    described = [file for file in files if "names" in _read_description(file)]
    return described[0] if len(described) == 1 else None


def is_yolo(source: Path) -> bool:
    """Whether a folder without a description looks like YOLO's: names, or lines of numbers."""
    if any((source / name).is_file() for name in _NAME_FILES):
        return True
    for file in islice(source.rglob("*.txt"), _LOOKED_AT):
        words = _text(file).partition("\n")[0].split()
        if len(words) >= 5 and all(re.fullmatch(r"-?[\d.]+(e-?\d+)?", word) for word in words):
            return True
    return False


def read_yolo(
    source: Path, images: Path | None, *, part: str | None, class_names: Sequence[str]
) -> Imported:
    """Read YOLO's polygons.

    A picture without a label file shows no object, as for YOLO's own training.

    Args:
        source: The data.yaml, or the folder of the data set.
        images: Folder of the pictures, if they are not within the data set.
        part: One of `PARTS`, as the data.yaml or the folders' names say; None: all.
        class_names: Name of each class; none: as in data.yaml or classes.txt.

    Raises:
        InputError: The names of the classes are not known, or there is no picture.
    """
    file = description_of(source)
    root = source if source.is_dir() else source.parent
    description = _read_description(file) if file else {}
    names = list(class_names) or _class_names(root, description)
    if not names:
        raise InputError(
            f"{source}: expected a data.yaml or classes.txt with the names of the classes, found "
            "none (or several): name the data.yaml itself, or give them in order with --class-names"
        )
    collection = Collection()
    for picture in _pictures(collection, root, images, description, part):
        if collection.has_picture(picture):
            collection.leave_out("pictures that the data set names again", picture)
            continue
        try:
            width, height = look_at(picture).size
        except InputError as error:
            collection.leave_out("pictures that cannot be read", error)
            continue
        collection.add_picture(picture, height, width)
        labels = _label_file(picture, root, images)
        if labels is not None:
            _add_objects(collection, picture, labels, names, (height, width))
    return collection.finish(names)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _read_description(file: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(_text(file))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _class_names(root: Path, description: Mapping[str, Any]) -> list[str]:
    names = description.get("names")
    if isinstance(names, dict) and all(str(key).isdecimal() for key in names):
        by_number = {int(key): str(name) for key, name in names.items()}
        last = max(by_number, default=-1)
        return [by_number.get(number, f"class {number}") for number in range(last + 1)]
    if isinstance(names, list):
        return [str(name) for name in names]
    for name in _NAME_FILES:
        if (root / name).is_file():
            return list(filter(None, map(str.strip, _text(root / name).splitlines())))
    return []


def _pictures(
    collection: Collection,
    root: Path,
    images: Path | None,
    description: Mapping[str, Any],
    part: str | None,
) -> Iterator[Path]:
    """Yield the pictures of a part."""
    named = [name for name in PARTS if description.get(name)]
    if images is not None or not named:
        for picture in find_pictures(images or root):
            folders = picture.relative_to(images or root).parts[:-1]
            if part is None or part in folders or (part == "val" and "valid" in folders):
                yield picture
        return
    if part is not None and part not in named:
        raise InputError(f"--part: expected {' or '.join(named)}, as in the data.yaml, got {part}")
    base = root / str(description.get("path") or ".")
    for name in named if part is None else [part]:
        given = description[name]
        for text in given if isinstance(given, list) else [given]:
            place = _existing(base, str(text)) or _existing(root, str(text))
            if place is None:
                collection.leave_out("parts of the data.yaml that are not there", f"{name}: {text}")
            elif place.is_dir():
                yield from find_pictures(place)
            else:
                for line in filter(None, map(str.strip, _text(place).splitlines())):
                    yield _existing(place.parent, line) or place.parent / line


def _existing(folder: Path, text: str) -> Path | None:
    """Find a path from a folder, also without its first names: of the folder where it was made."""
    parts = Path(text).parts
    candidates = (folder / Path(*parts[skipped:]) for skipped in range(len(parts)))
    return next((path for path in candidates if path.exists()), None)


def _label_file(picture: Path, root: Path, images: Path | None) -> Path | None:
    """Find a picture's labels: in labels/ in place of images/, beside it, or by its path."""
    candidates = [picture]
    folders = picture.parts[:-1]
    if "images" in folders:
        last = len(folders) - 1 - folders[::-1].index("images")
        candidates.insert(0, Path(*folders[:last], "labels", *picture.parts[last + 1 :]))
    if images is not None:
        path = picture.relative_to(images)
        candidates = [root / path, root / "labels" / path, root / path.name, *candidates]
    files = (path.with_suffix(".txt") for path in candidates)
    return next((file for file in files if file.is_file()), None)


def _add_objects(
    collection: Collection,
    picture: Path,
    labels: Path,
    names: Sequence[str],
    size: tuple[int, int],
) -> None:
    height, width = size
    for number, line in enumerate(_text(labels).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{labels}, line {number}"
        try:
            class_id, *numbers = (float(word) for word in line.split())
        except ValueError:
            collection.leave_out("lines that cannot be read", where)
            continue
        if not (class_id.is_integer() and 0 <= class_id < len(names)):
            collection.leave_out("classes without a name", f"{where}: class {class_id:g}")
        elif len(numbers) in (4, 5):
            collection.leave_out("boxes without outlines", where)
        elif not all(-_BEYOND <= value <= 1 + _BEYOND for value in numbers):
            collection.leave_out("coordinates that are not from 0 to 1", where)
        else:
            scaled = [
                round(min(max(value, 0.0), 1.0) * (height if index % 2 else width), 3)
                for index, value in enumerate(numbers)
            ]
            collection.add_object(picture, names[int(class_id)], [scaled], where)
