# SPDX-License-Identifier: Apache-2.0
"""Checks and mends the images of a file, with and without their pictures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from yolact_ros.datasets.pictures import PictureHeader, Size, look_at, look_at_all
from yolact_ros.errors import InputError

from .causes import (
    LISTED_TWICE,
    MISPLACED_PICTURES,
    MISSING_PICTURES,
    NO_FILE_NAMES,
    NO_FOLDER,
    NO_SIZES,
    SHARED_FILES,
    SHARED_IDS,
    TEXT_NUMBERS,
    UNKNOWN_SIZES,
    UNREADABLE_PICTURES,
    Findings,
    mismatch,
    share,
)
from .fields import Key, entries_by_key, numbers_for, whole_number
from .missing import Search, guess_folder

_LARGEST_SIDE = 1 << 20  # pixels: no picture that is read has more


@dataclass(slots=True)
class ImageEntry:
    """One image of a file.

    Attributes:
        id: In the mended set.
        file_name: As in the file.
        width, height: In pixels; 0 if unknown.
        entry: Its fields in the mended set; None: it is left out.
    """

    id: int
    file_name: str
    width: int
    height: int
    entry: dict[str, Any] | None

    @property
    def where(self) -> str:
        """Name the image in a message."""
        return f"image {self.id} ({self.file_name})" if self.file_name else f"image {self.id}"

    def change(self, **fields: Any) -> None:
        """Change fields of the entry; the content of the file stays as it is."""
        if self.entry is not None:
            self.entry = {**self.entry, **fields}


def check_images(entries: Sequence[Any], findings: Findings) -> dict[Key, ImageEntry]:
    """Check the list of images; pictures are not looked at.

    Returns:
        The images by their id in the file, those that are left out among them.
    """
    groups = entries_by_key(entries, "images", findings)
    numbers = numbers_for(groups)
    first_with: dict[str, int] = {}
    images = {}
    for key, group in groups.items():
        number, (_, entry) = numbers[key], group[0]
        image = images[key] = ImageEntry(number, "", 0, 0, entry)
        if type(entry["id"]) is not int:
            image.change(id=number)
        name = entry.get("file_name")
        for index, other in group[1:]:
            text = f"id: expected one image with this id, got another at images[{index}]"
            cause = LISTED_TWICE if other.get("file_name") == name else SHARED_IDS
            findings.add(cause, f"image {number}", text)
        if not _is_file_name(name):
            text = mismatch("file_name", "a text that is not empty", name)
            findings.add(NO_FILE_NAMES, f"image {number}", text)
            image.entry = None
        elif name in first_with:
            text = f"file_name: expected a file of its own, got {name} as for image "
            findings.add(SHARED_FILES, f"image {number}", text + str(first_with[name]))
            image.entry = None
        else:
            first_with[name] = number
            image.file_name = name
        if any(other.get("file_name") != name for _, other in group):
            image.entry = None  # whose are the annotations?
        _check_size(image, entry, findings)
    return images


def _is_file_name(name: Any) -> TypeGuard[str]:
    if not isinstance(name, str) or "\0" in name:
        return False
    try:
        return bool(os.fsencode(name))
    except UnicodeEncodeError:
        return False


def _check_size(image: ImageEntry, entry: dict[str, Any], findings: Findings) -> None:
    sides = {}
    for key in ("width", "height"):
        given = entry.get(key)
        side = whole_number(given)
        if side is None or not 1 <= side <= _LARGEST_SIDE:
            return
        if type(given) is not int:
            findings.add(TEXT_NUMBERS, image.where, mismatch(key, "a whole number", given))
            image.change(**{key: side})
        sides[key] = side
    image.width, image.height = sides["width"], sides["height"]


def refuse_unknown_sizes(images: Iterable[ImageEntry], findings: Findings) -> None:
    """Leave out the images whose size neither the file nor a picture has told."""
    for image in images:
        if image.entry is not None and not image.width:
            wrong = next(k for k in ("width", "height") if not _is_size(image.entry.get(k)))
            text = mismatch(wrong, "a whole number of pixels >= 1", image.entry.get(wrong))
            findings.add(UNKNOWN_SIZES, image.where, text)
            image.entry = None


def _is_size(value: Any) -> bool:
    side = whole_number(value)
    return side is not None and 1 <= side <= _LARGEST_SIDE


def check_pictures(
    images: Sequence[ImageEntry], folder: Path, findings: Findings
) -> dict[int, PictureHeader]:
    """Check the pictures, read the sizes that the file lacks, and look for missing pictures.

    Returns:
        What the files say, by image id, of all that can be read.
    """
    if not folder.is_dir():
        text = f"expected a folder of images, got {'a file' if folder.exists() else 'no such one'}"
        findings.add(NO_FOLDER, str(folder), text)
        return {}
    named = {image.id: image for image in images if image.file_name}
    pictures, faults = look_at_all({key: each.file_name for key, each in named.items()}, folder)
    for key, picture in pictures.items():
        _compare(named[key], picture, folder, findings)
    missing = []
    for key, fault in faults.items():
        if os.path.exists(folder / named[key].file_name):  # which bears with any name
            findings.add(UNREADABLE_PICTURES, named[key].where, fault)
            named[key].entry = None
        else:
            missing.append((named[key], fault))
    if missing:
        taken = {named[key].file_name for key in pictures}
        pictures |= _find(missing, taken, len(named), folder, findings)
    return pictures


def _compare(image: ImageEntry, picture: PictureHeader, folder: Path, findings: Findings) -> None:
    """Compare the size that the file states with that of the picture, and take that if it has none.

    Labels may be drawn on the picture upright, as viewers show it, or on the pixels as stored.
    """
    upright, stored = _text(picture.size), _text(picture.stored)
    if not image.width:
        image.width, image.height = picture.size
        text = f"expected width and height, got {upright} from the picture alone"
        findings.add(NO_SIZES, image.where, text)
        image.change(width=image.width, height=image.height)
    elif (image.width, image.height) not in (picture.size, picture.stored):
        text = f"expected {image.width}x{image.height} pixels, got {upright} in "
        text += str(folder / image.file_name)
        if upright != stored:
            orientation = f"EXIF orientation {picture.orientation}"
            text += f", turned as its {orientation} says: {stored} as stored"
        findings.add(UNREADABLE_PICTURES, image.where, text)
        image.entry = None


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _find(
    missing: Sequence[tuple[ImageEntry, str]],
    taken: set[str],
    total: int,
    folder: Path,
    findings: Findings,
) -> dict[int, PictureHeader]:
    """Look for pictures in other places, and guess why they are not where they should be.

    Args:
        missing: The images without a picture, and what to say of them.
        taken: Names of the pictures that belong to other images; those that are found are added.
        total: Number of images.
        folder: Folder that the names are relative to.
        findings: Takes what is found.

    Returns:
        What the files say that were found, by image id.
    """
    search = Search(folder)
    lost: list[str] = []
    habits: Counter[str] = Counter()
    pictures = {}
    for image, fault in missing:
        place = search.find(image.file_name)
        if place is None or place.path in taken:
            findings.add(MISSING_PICTURES, image.where, fault)
            image.entry = None
            lost.append(image.file_name)
            continue
        taken.add(place.path)
        habits[place.habit] += 1
        findings.add(MISPLACED_PICTURES, image.where, f"{fault}; found {folder / place.path}")
        image.change(file_name=place.path)
        image.file_name = place.path
        try:
            pictures[image.id] = look_at(folder / place.path)
        except InputError as error:
            findings.add(UNREADABLE_PICTURES, image.where, str(error))
            image.entry = None
        else:
            _compare(image, pictures[image.id], folder, findings)
    for habit, count in habits.items():
        findings.guess(MISPLACED_PICTURES, f"{share(count, total)}: {habit}")
    if lost:
        findings.guess(MISSING_PICTURES, f"{share(len(lost), total)} are missing")
        for text in guess_folder(lost, folder):
            findings.guess(MISSING_PICTURES, text)
    return pictures
