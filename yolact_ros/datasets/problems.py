# SPDX-License-Identifier: Apache-2.0
"""Finds the errors in a data set in COCO's format before anything is trained or measured on it."""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from yolact_ros.errors import InputError

from .annotation_checks import box_fault, mismatch, segmentation_fault
from .pictures import PictureHeader, Size, look_at_all

_SHOWN = 5
_LISTS = {"images": "image", "annotations": "annotation", "categories": "category"}


@dataclass(frozen=True)
class Problem:
    """One error or warning.

    Attributes:
        kind: Heading shared by problems of the same kind.
        where: The image, annotation or category; empty for the file as a whole.
        text: What was expected and what was found.
        fatal: Whether it is an error, which rules out training and evaluation, or a warning.
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
        problems: All errors that were found.
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
    """Read a JSON file.

    Returns:
        A dictionary with the lists ``images``, ``annotations`` and ``categories``.

    Raises:
        DatasetError: There is no such file, or its content is something else.
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
    if isinstance(content.get("shapes"), list):
        raise error("expected COCO's format, got LabelMe's: `yolact-ros dataset import` reads it")
    for name in _LISTS:
        if not isinstance(content.get(name), list):
            raise error(mismatch(name, "a list", content.get(name)))
    return content


class Examination(NamedTuple):
    """The result of `examine`.

    Attributes:
        problems: All errors; see `warnings` for the rest.
        sound: The content without the categories, images and annotations that have errors. Images
            whose file is missing or wrong stay.
        pictures: What the files say, by image id, of all that can be read.
    """

    problems: list[Problem]
    sound: dict[str, Any]
    pictures: dict[int, PictureHeader]


def examine(content: Mapping[str, Any], image_folder: Path | None) -> Examination:
    """Look for everything that keeps a data set from being used.

    Args:
        content: As `read_content` returns it.
        image_folder: Folder that the images' file names are relative to; None: do not check the
            files.
    """
    examiner = _Examiner(content)
    categories = examiner.check_categories()
    images = examiner.check_images()
    annotations = examiner.check_annotations(images, categories)
    pictures: dict[int, PictureHeader] = {}
    if image_folder is not None:
        problems, pictures = _check_files(images.values(), image_folder)
        examiner.problems += problems
    sound = {
        "images": [image.entry for image in images.values() if image.sound],
        "categories": [entry for entry in categories.values() if entry],
        "annotations": [
            entry
            for entry in annotations
            if images[entry["image_id"]].sound and categories[entry["category_id"]]
        ],
    }
    return Examination(examiner.problems, sound, pictures)


class _ImageEntry(NamedTuple):
    """An image's fields; an unknown name is empty, an unknown size 0x0."""

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


class _Examiner:
    """Goes through the content of a file and collects `problems`."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self.problems: list[Problem] = []

    def _add(self, kind: str, where: str, text: str) -> None:
        self.problems.append(Problem(kind, where, text))

    def _entries(self, plural: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of a list that are objects with an id of their own."""
        singular = _LISTS[plural]
        # without annotations, all that is found is wrong: that can be measured
        if not self._content[plural] and plural != "annotations":
            self._add(plural, plural, "expected at least one, got none")
        seen: set[int] = set()
        for index, entry in enumerate(self._content[plural]):
            where = f"{plural}[{index}]"
            if not isinstance(entry, dict):
                self._add("fields", where, mismatch("", "an object", entry))
            elif not _is_id(entry.get("id")):
                self._add("fields", where, mismatch("id", "a whole number", entry.get("id")))
            elif entry["id"] in seen:
                text = f"id: expected one {singular} with this id, got another at {where}"
                self._add("ids", f"{singular} {entry['id']}", text)
            else:
                seen.add(entry["id"])
                yield entry

    def check_categories(self) -> dict[int, dict[str, Any] | None]:
        """Return the categories by id; None for those that have errors."""
        names: dict[str, int] = {}
        categories: dict[int, dict[str, Any] | None] = {}
        for entry in self._entries("categories"):
            where, name = f"category {entry['id']}", entry.get("name")
            categories[entry["id"]] = None
            if not isinstance(name, str) or not name.strip():
                self._add("categories", where, mismatch("name", "a text that is not empty", name))
            elif name in names:
                text = f"name: expected a name of its own, got {name!r} as in category "
                self._add("categories", where, text + str(names[name]))
            else:
                names[name] = entry["id"]
                categories[entry["id"]] = entry
        return categories

    def check_images(self) -> dict[int, _ImageEntry]:
        """Return the images by id."""
        names: dict[str, int] = {}
        images = {}
        for entry in self._entries("images"):
            name: Any = entry.get("file_name")
            where = f"image {entry['id']}"
            if not isinstance(name, str) or not name:
                self._add("fields", where, mismatch("file_name", "a text that is not empty", name))
                name = ""
            elif name in names:
                text = f"file_name: expected a file of its own, got {name} as for image "
                self._add("images", where, text + str(names[name]))
                name = ""
            else:
                names[name] = entry["id"]
                where += f" ({name})"
            width, height = entry.get("width"), entry.get("height")
            for key, side in (("width", width), ("height", height)):
                if type(side) is not int or side < 1:
                    text = mismatch(key, "a whole number of pixels >= 1", side)
                    self._add("fields", where, text)
                    width = height = 0
            images[entry["id"]] = _ImageEntry(entry["id"], name, width or 0, height or 0, entry)
        return images

    def check_annotations(
        self, images: Mapping[int, _ImageEntry], categories: Container[int]
    ) -> list[dict[str, Any]]:
        """Return the annotations without errors."""
        sound = []
        for entry in self._entries("annotations"):
            image_id = entry.get("image_id")
            image = images.get(image_id) if _is_id(image_id) else None
            where = f"annotation {entry['id']}"
            if image is not None:
                where += f" (image {image.id}, {image.file_name})"
            faults = list(_annotation_faults(entry, image, categories))
            for kind, text in faults:
                self._add(kind, where, text)
            if not faults:
                sound.append(entry)
        return sound


def _annotation_faults(
    entry: Mapping[str, Any], image: _ImageEntry | None, categories: Container[int]
) -> Iterator[tuple[str, str]]:
    """Yield the kind and text of each error."""
    if image is None:
        yield "references", mismatch("image_id", "the id of an image", entry.get("image_id"))
    category = entry.get("category_id")
    if not _is_id(category) or category not in categories:
        yield "references", mismatch("category_id", "the id of a category", category)
    if entry.get("iscrowd", 0) not in (0, 1):
        yield "fields", mismatch("iscrowd", "0 or 1", entry["iscrowd"])
    area = entry.get("area", 0)
    if type(area) not in (int, float) or not 0 <= area < float("inf"):
        yield "fields", mismatch("area", "a finite number of pixels >= 0", area)
    if image is None or not image.width:
        return
    if fault := segmentation_fault(entry.get("segmentation"), image.width, image.height):
        yield "segmentations", fault
    if "bbox" in entry and (fault := box_fault(entry["bbox"], image.width, image.height)):
        yield "boxes", fault


def _check_files(
    images: Collection[_ImageEntry], folder: Path
) -> tuple[list[Problem], dict[int, PictureHeader]]:
    if not folder.is_dir():
        text = f"expected a folder of images, got {'a file' if folder.exists() else 'no such one'}"
        return [Problem("image files", str(folder), text)], {}
    names = {image.id: image.file_name for image in images if image.file_name}
    pictures, faults = look_at_all(names, folder)
    problems = []
    for image in images:
        fault = faults.get(image.id)
        if image.id in pictures and image.width:
            path, size = folder / image.file_name, (image.width, image.height)
            fault = _size_fault(pictures[image.id], size, path)
        if fault:
            where = f"image {image.id} ({image.file_name})"
            problems.append(Problem("image files", where, fault))
    return problems, pictures


def _size_fault(picture: PictureHeader, labelled: Size, path: Path) -> str | None:
    if labelled in (picture.size, picture.stored):
        return None
    expected, got, stored = (
        f"{width}x{height}" for width, height in (labelled, picture.size, picture.stored)
    )
    turned = f", turned as its EXIF orientation {picture.orientation} says: {stored} as stored"
    return f"expected {expected} pixels, got {got} in {path}" + turned * (got != stored)
