# SPDX-License-Identifier: Apache-2.0
"""Finds what is wrong with a data set in COCO's format, before anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from yolact_ros.datasets.annotation_checks import box_fault, brief, segmentation_fault
from yolact_ros.datasets.image_checks import file_fault
from yolact_ros.errors import InputError

_SHOWN = 5
_LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: A heading that like problems share.
        where: The image, annotation or category; empty for the file as a whole.
        text: What was expected and what was found.
        fatal: Whether nothing can be trained or measured on the data set until it is mended.
    """

    kind: str
    where: str
    text: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


class DatasetError(InputError):
    """A data set cannot be used; names the file and the annotations.

    Attributes:
        problems: All that were found.
    """

    def __init__(self, annotation_file: Path, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"{annotation_file}: {problem}" for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(
                f"{annotation_file}: {len(self.problems) - _SHOWN} more problems; "
                "`yolact-ros dataset check` shows them"
            )
        super().__init__("\n".join(lines))


def read_content(annotation_file: Path) -> dict[str, Any]:
    """Reads a JSON file.

    Returns:
        An object with the lists ``images``, ``annotations`` and ``categories``.

    Raises:
        DatasetError: There is no such file, or something else is in it.
    """

    def error(text: str) -> DatasetError:
        return DatasetError(annotation_file, [Problem("file", "", text)])

    try:
        content = json.loads(annotation_file.read_bytes())
    except FileNotFoundError:
        raise error("expected a JSON file in COCO's format, got no such file") from None
    except OSError as cause:
        raise error(f"expected a file that can be read, got: {cause.strerror}") from cause
    except (ValueError, RecursionError) as cause:
        raise error(f"expected JSON, got: {cause}") from cause
    if not isinstance(content, dict):
        raise error(
            "expected an object with images, annotations and categories, "
            f"got a {type(content).__name__}"
        )
    for name in _LISTS:
        if not isinstance(content.get(name), list):
            raise error(f"{name}: expected a list, got {brief(content.get(name))}")
    return content


class Examination(NamedTuple):
    """What was found in a data set.

    Attributes:
        problems: All that keeps it from being used; for the rest see `dataset_warnings`.
        sound: The content without the categories, images and annotations that have problems. Images
            whose file is missing or wrong stay.
    """

    problems: list[Problem]
    sound: dict[str, Any]


def find_problems(content: Mapping[str, Any], image_folder: Path | None) -> list[Problem]:
    """The problems of `examine`."""
    return examine(content, image_folder).problems


def examine(content: Mapping[str, Any], image_folder: Path | None) -> Examination:
    """Looks for all that keeps a data set from being used.

    Args:
        content: As `read_content` returns it.
        image_folder: What the images' file names are relative to; None: their files are not looked
            at.
    """
    problems: list[Problem] = []
    categories = _check_categories(content["categories"], problems)
    images = _check_images(content["images"], problems)
    if not content["annotations"]:
        problems.append(Problem("annotations", "annotations", "expected at least one, got none"))
    annotations = _check_annotations(content["annotations"], images, categories, problems)
    if image_folder is not None:
        problems += _check_files(images, image_folder)
    sound = {
        "images": [image.entry for image in images.values() if image.sound],
        "categories": [entry for entry, good in categories.values() if good],
        "annotations": [
            entry
            for entry in annotations
            if images[entry["image_id"]].sound and categories[entry["category_id"]][1]
        ],
    }
    return Examination(problems, sound)


class _ImageEntry(NamedTuple):
    """An image's fields; an empty name and a size of 0x0 are not known."""

    id: int
    file_name: str
    width: int
    height: int
    entry: dict[str, Any]

    @property
    def sound(self) -> bool:
        return bool(self.file_name and self.width)


def _is_id(value: Any) -> TypeGuard[int]:
    return type(value) is int


def _entries(
    entries: list[Any], singular: str, plural: str, problems: list[Problem]
) -> Iterator[dict[str, Any]]:
    """Those that are objects with an id of their own."""
    seen: set[int] = set()
    for index, entry in enumerate(entries):
        where = f"{plural}[{index}]"
        if not isinstance(entry, dict):
            problems.append(Problem("fields", where, f"expected an object, got {brief(entry)}"))
        elif not _is_id(entry.get("id")):
            text = f"id: expected a whole number, got {brief(entry.get('id'))}"
            problems.append(Problem("fields", where, text))
        elif entry["id"] in seen:
            where = f"{singular} {entry['id']}"
            text = f"id: expected one {singular} with this id, got another at {plural}[{index}]"
            problems.append(Problem("ids", where, text))
        else:
            seen.add(entry["id"])
            yield entry


def _check_categories(
    entries: list[Any], problems: list[Problem]
) -> dict[int, tuple[dict[str, Any], bool]]:
    """Those with an id, by their ids, and whether they are sound."""
    if not entries:
        problems.append(Problem("categories", "categories", "expected at least one, got none"))
    names: dict[str, int] = {}
    categories = {}
    for entry in _entries(entries, "category", "categories", problems):
        known = len(problems)
        where, name = f"category {entry['id']}", entry.get("name")
        if not isinstance(name, str) or not name.strip():
            text = f"name: expected a text that is not empty, got {brief(name)}"
            problems.append(Problem("categories", where, text))
        elif name in names:
            text = f"name: expected a name of its own, got {name!r} as in category {names[name]}"
            problems.append(Problem("categories", where, text))
        else:
            names[name] = entry["id"]
        categories[entry["id"]] = (entry, len(problems) == known)
    return categories


def _check_images(entries: list[Any], problems: list[Problem]) -> dict[int, _ImageEntry]:
    if not entries:
        problems.append(Problem("images", "images", "expected at least one, got none"))
    images = {}
    names: dict[str, int] = {}
    for entry in _entries(entries, "image", "images", problems):
        name: Any = entry.get("file_name")
        width: Any = entry.get("width")
        height: Any = entry.get("height")
        where = f"image {entry['id']}"
        if not isinstance(name, str) or not name:
            text = f"file_name: expected a text that is not empty, got {brief(name)}"
            problems.append(Problem("fields", where, text))
            name = ""
        elif name in names:
            text = f"file_name: expected a file of its own, got {name} as for image {names[name]}"
            problems.append(Problem("images", where, text))
            name = ""
        else:
            names[name] = entry["id"]
            where += f" ({name})"
        for key, side in (("width", width), ("height", height)):
            if type(side) is not int or side < 1:
                text = f"{key}: expected a whole number of pixels >= 1, got {brief(side)}"
                problems.append(Problem("fields", where, text))
                width = height = 0
        images[entry["id"]] = _ImageEntry(entry["id"], name, width, height, entry)
    return images


def _check_annotations(
    entries: list[Any],
    images: Mapping[int, _ImageEntry],
    categories: Container[int],
    problems: list[Problem],
) -> list[dict[str, Any]]:
    """The sound ones."""
    sound = []
    for entry in _entries(entries, "annotation", "annotations", problems):
        found: list[tuple[str, str]] = []
        image_id, category_id = entry.get("image_id"), entry.get("category_id")
        image = images.get(image_id) if _is_id(image_id) else None
        if image is None:
            text = f"image_id: expected the id of an image, got {brief(image_id)}"
            found.append(("references", text))
        if not _is_id(category_id) or category_id not in categories:
            text = f"category_id: expected the id of a category, got {brief(category_id)}"
            found.append(("references", text))
        if entry.get("iscrowd", 0) not in (0, 1):
            text = f"iscrowd: expected 0 or 1, got {brief(entry['iscrowd'])}"
            found.append(("fields", text))
        area = entry.get("area", 0)
        if type(area) not in (int, float) or not 0 <= area < float("inf"):
            text = f"area: expected a finite number of pixels >= 0, got {brief(area)}"
            found.append(("fields", text))
        if image is not None and image.width:
            fault = segmentation_fault(entry.get("segmentation"), image.width, image.height)
            if fault:
                found.append(("segmentations", fault))
            if "bbox" in entry:
                fault = box_fault(entry["bbox"], image.width, image.height)
                if fault:
                    found.append(("boxes", fault))
        if found:
            where = f"annotation {entry['id']}"
            if image is not None:
                where += f" (image {image.id}, {image.file_name})"
            problems += [Problem(kind, where, text) for kind, text in found]
        else:
            sound.append(entry)
    return sound


def _check_files(images: Mapping[int, _ImageEntry], folder: Path) -> list[Problem]:
    if not folder.is_dir():
        text = f"expected a folder of images, got {'a file' if folder.exists() else 'no such one'}"
        return [Problem("image files", str(folder), text)]

    def check(image: _ImageEntry) -> Problem | None:
        text = image.file_name and file_fault(folder / image.file_name, image.width, image.height)
        where = f"image {image.id} ({image.file_name})"
        return Problem("image files", where, text) if text else None

    # Little of them is read, so that the time goes into waiting for the disk.
    with ThreadPoolExecutor(8) as pool:
        return [problem for problem in pool.map(check, images.values()) if problem]
