# SPDX-License-Identifier: Apache-2.0
"""Reads mask files beside a folder of pictures: maps of ids, or one file for each object."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.segmentation import encode_mask
from yolact_ros.errors import InputError

from .collection import Collection, Imported
from .finding import find_pictures
from .mask_files import MASK_SUFFIXES, read_ids

_NO_CLASS = {
    *("annotation", "annotations", "gt", "id", "ids", "instance", "instances"),
    *("label", "labels", "mask", "masks", "object", "seg"),
}
"""Words in the names of files and folders that name no class."""

_MANY = 10  # different names, each of one object, from which on they are taken for no classes


class _Place(NamedTuple):
    """What a mask file's name says.

    Attributes:
        picture: The picture that it belongs to.
        class_name: Class of its objects; empty: the name does not say.
        single: Whether all of it is one object, as one of several files of the picture.
    """

    picture: Path
    class_name: str
    single: bool


def read_masks(
    source: Path, images: Path, *, class_names: Sequence[str], separate: bool
) -> Imported:
    """Read mask files.

    A file named as its picture holds all objects, each with a value of its own, 0 where nothing is.
    A file named as its picture and more (1000_square_0.png), or in a folder named as its picture,
    holds one object; what comes after the picture's name and before a number at the end is its
    class, or else the file's folder.

    Args:
        source: Folder of the masks, searched with all below it.
        images: Folder of the pictures, searched with all below it.
        class_names: One: class of all objects. Several: those to look for in the names of files
            and folders. None: as these names say.
        separate: Whether each connected part of a value's pixels is an object of its own.

    Raises:
        InputError: The files do not say of which class they are, or there is no labelled picture.
    """
    collection = Collection()
    source, images = Path(os.path.abspath(source)), Path(os.path.abspath(images))
    masks = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in MASK_SUFFIXES]
    if source == images:  # a folder for each picture, with one of masks in it
        masks = [path for path in masks if "mask" in str(path.parent.relative_to(source)).lower()]
    pictures = _Pictures(images, set(masks))
    places: dict[Path, _Place] = {}
    for mask in masks:
        place = pictures.place_of(mask, source)
        if place is None:
            collection.leave_out("masks without their picture", mask)
        else:
            places[mask] = place
    named = _classes(places, class_names)
    for mask, place in places.items():
        if mask in named:
            _add_objects(collection, mask, place, named[mask], separate)
        else:
            collection.leave_out("masks of none of the classes", mask)
    for picture in pictures:
        if not collection.has_picture(picture):
            collection.leave_out("pictures without a mask", picture)
    return collection.finish(class_names)


class _Pictures:
    """The pictures in a folder, to be found by the names of masks."""

    def __init__(self, folder: Path, masks: set[Path]) -> None:
        self._pictures = [path for path in find_pictures(folder) if path not in masks]
        # by the path without suffix, and by the name alone where it is of one picture
        self._by_name: dict[str, list[Path]] = {}
        for path in self._pictures:
            relative = path.relative_to(folder).with_suffix("").as_posix()
            for name in {relative, path.stem}:
                self._by_name.setdefault(name, []).append(path)

    def __iter__(self) -> Iterator[Path]:
        return iter(self._pictures)

    def _find(self, folder: Path, stem: str) -> Path | None:
        for name in ((folder / stem).as_posix(), stem):
            if len(found := self._by_name.get(name, [])) == 1:
                return found[0]
        return None

    def place_of(self, mask: Path, source: Path) -> _Place | None:
        """Say which picture a mask belongs to, and what its name says of its objects."""
        relative = mask.relative_to(source)
        for end in range(len(mask.stem), 0, -1):
            rest = mask.stem[end:]
            if rest[:1].isalnum() or not (found := self._find(relative.parent, mask.stem[:end])):
                continue
            words, numbered = _without_number(rest)
            class_name = _class_in(words)
            if not class_name and found.parent.name != relative.parent.name:
                class_name = _class_in(relative.parent.name)
            return _Place(found, class_name, single=bool(_class_in(words)) or numbered)
        for folder in (relative.parent, *relative.parent.parents):
            if folder.name and (found := self._find(folder.parent, folder.name)):
                inner = relative.parent.relative_to(folder).name
                class_name = _class_in(_without_number(mask.stem)[0]) or _class_in(inner)
                return _Place(found, class_name, single=True)
        return None


def _without_number(text: str) -> tuple[str, bool]:
    """Take the number at the end, or else at the beginning, off a text; say if there was one."""
    text = text.strip("_-. ")
    shorter = re.sub(r"[_\-. ]*\d+$", "", text) if text[-1:].isdecimal() else text
    if shorter == text:
        shorter = re.sub(r"^\d+[_\-. ]*", "", text)
    return shorter, shorter != text


def _class_in(text: str) -> str:
    """Return a text without the words at its ends that name no class."""
    words = re.split(r"([_\-. ])", text)
    while words and words[-1].lower() in {*_NO_CLASS, "", *"_-. "}:
        words.pop()
    while words and words[0].lower() in {*_NO_CLASS, "", *"_-. "}:
        words.pop(0)
    return "".join(words)


def _classes(places: dict[Path, _Place], class_names: Sequence[str]) -> dict[Path, str]:
    """Choose the class of each mask file."""
    if len(class_names) == 1:
        return dict.fromkeys(places, class_names[0])
    if class_names:
        return {
            mask: place.class_name
            for mask, place in places.items()
            if place.class_name in class_names
        }
    unnamed = [mask for mask, place in places.items() if not place.class_name]
    names = {place.class_name for place in places.values()}
    if unnamed or (len(names) == len(places) > _MANY):
        example = (unnamed or list(places))[0]
        raise InputError(
            f"{example}: expected a name that says the class of its objects, got none: name the "
            "one class of all masks with --class-names"
        )
    return {mask: place.class_name for mask, place in places.items()}


def _add_objects(
    collection: Collection, mask: Path, place: _Place, class_name: str, separate: bool
) -> None:
    try:
        found = read_ids(mask)
    except InputError as error:
        collection.leave_out("masks that cannot be read", error)
        return
    height, width = found.ids.shape
    if not collection.has_picture(place.picture):
        collection.add_picture(place.picture, height, width)
    elif collection.size_of(place.picture) != (height, width):
        collection.leave_out("masks of another size than those before", mask)
        return
    if place.single and found.numbers:
        # smoothed edges have values between
        outlines = [found.ids > found.ids.max() / 2]
    else:
        outlines = [found.ids == number for number in found.numbers]
    for number, outline in enumerate(outlines, start=1):
        for part in _connected(outline) if separate else [outline]:
            collection.add_object(
                place.picture, class_name, encode_mask(part), f"{mask}, object {number}"
            )


def _connected(mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.bool_]]:
    """Return the connected parts of a mask, pixels that touch at corners together."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [labels == number for number in range(1, count)]
