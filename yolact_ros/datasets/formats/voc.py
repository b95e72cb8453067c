# SPDX-License-Identifier: Apache-2.0
"""Reads Pascal VOC's masks: ids of objects in one file, ids of their classes in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.segmentation import encode_mask
from yolact_ros.errors import InputError
from yolact_ros.presets import PASCAL_CLASSES

from .collection import Collection, Imported
from .finding import PictureFinder
from .mask_files import MASK_SUFFIXES, IdMap, read_ids

OBJECTS, CLASSES, PICTURES = "SegmentationObject", "SegmentationClass", "JPEGImages"
"""The folders of a data set."""

_VOID = 255
_VOID_COLOUR = (224 << 16) + (224 << 8) + 192
"""What marks the edges of objects, and what is not to be learnt."""

_NO_OBJECTS = ("__ignore__", "_background_", "background")
_NAME_FILES = ("class_names.txt", "labels.txt")


def is_voc(source: Path) -> bool:
    """Whether a folder has Pascal VOC's masks."""
    return (source / OBJECTS).is_dir() and (source / CLASSES).is_dir()


def read_voc(
    source: Path, images: Path | None, *, part: str | None, class_names: Sequence[str]
) -> Imported:
    """Read the masks of Pascal VOC, and of tools that write this form.

    Args:
        source: The folder around `OBJECTS` and `CLASSES`.
        images: Folder of the pictures; None: `PICTURES` in `source`.
        part: Name of a list of pictures in ImageSets/Segmentation; None: all.
        class_names: Names of the classes 1, 2, ...; none: as in class_names.txt (LabelMe) or
            labelmap.txt (CVAT), else Pascal VOC's own.

    Raises:
        InputError: A file of the data set is missing, or there is no labelled picture.
    """
    if not is_voc(source):
        raise InputError(f"{source}: expected the folders {OBJECTS} and {CLASSES}, found none")
    collection, finder = Collection(), PictureFinder()
    names = _ClassNames(source, class_names)
    folder = images or source / PICTURES
    masks = {
        file.stem: file
        for file in sorted((source / OBJECTS).iterdir())
        if file.suffix.lower() in MASK_SUFFIXES
    }
    stems = list(masks) if part is None else _listed(source, part)
    for stem in stems:
        picture, mask = finder.find_stem(folder, stem), masks.get(stem)
        if mask is None:
            collection.leave_out("pictures without a mask", picture or stem)
        elif picture is None:
            collection.leave_out("masks without their picture", mask)
        else:
            _add_objects(collection, picture, mask, source / CLASSES / mask.name, names)
    return collection.finish(names.in_order)


class _ClassNames:
    """Names of the ids in a file of classes.

    Attributes:
        in_order: All names.
    """

    def __init__(self, source: Path, given: Sequence[str]) -> None:
        self._by_colour: Mapping[int, str] = {}
        if given:
            listed = ["_background_", *given]
        elif (source / "labelmap.txt").is_file():
            self._by_colour = _colours(source / "labelmap.txt")
            listed = list(self._by_colour.values())
        else:
            files = (source / name for name in _NAME_FILES)
            file = next((file for file in files if file.is_file()), None)
            listed = _lines(file) if file else ["_background_", *PASCAL_CLASSES]
            if listed[0] == "__ignore__":  # LabelMe's class -1
                listed = listed[1:]
        self._by_number = dict(enumerate(listed))
        self.in_order = [name for name in listed if name not in _NO_OBJECTS]

    def of(self, number: int, coloured: bool) -> str | None:
        """Name a class; None: it has no name, or is none of objects."""
        name = (self._by_colour if coloured else self._by_number).get(number)
        return None if name in _NO_OBJECTS else name


def _lines(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()] or ["_background_"]


def _colours(file: Path) -> dict[int, str]:
    """Read a labelmap.txt: name:red,green,blue:parts:actions in each line."""
    names = {}
    for line in _lines(file):
        if line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        words = rest.partition(":")[0].split(",")
        if len(words) != 3 or not all(word.strip().isdecimal() for word in words):
            raise InputError(f"{file}: expected lines name:red,green,blue:..., got {line!r}")
        red, green, blue = map(int, words)
        names[(red << 16) + (green << 8) + blue] = name
    return names


def _listed(source: Path, part: str) -> list[str]:
    file = source / "ImageSets" / "Segmentation" / f"{part}.txt"
    if not file.is_file():
        raise InputError(f"--part: expected a list of pictures {file}, found none")
    return [line.split()[0] for line in _lines(file) if line.split()]


def _add_objects(
    collection: Collection, picture: Path, mask: Path, classes: Path, names: _ClassNames
) -> None:
    try:
        objects, kinds = read_ids(mask), read_ids(classes)
    except InputError as error:
        collection.leave_out("masks that cannot be read", error)
        return
    if objects.ids.shape != kinds.ids.shape:
        collection.leave_out("masks of different sizes", f"{mask}, {classes}")
        return
    height, width = objects.ids.shape
    collection.add_picture(picture, height, width)
    for number in objects.numbers:
        if number == (_VOID_COLOUR if objects.coloured else _VOID):
            continue
        inside = objects.ids == number
        where = f"{mask}, object {number}"
        kind = _commonest(kinds, inside)
        name = names.of(kind, kinds.coloured)
        if name is None:
            collection.leave_out("objects without a class", f"{where}: class {kind}")
        else:
            collection.add_object(picture, name, encode_mask(inside), where)


def _commonest(kinds: IdMap, inside: npt.NDArray[np.bool_]) -> int:
    """The class that most of an object's pixels are of; 0 if none has one."""
    found = kinds.ids[inside]
    found = found[(found != 0) & (found != (_VOID_COLOUR if kinds.coloured else _VOID))]
    numbers, counts = np.unique(found, return_counts=True)
    return int(numbers[counts.argmax()]) if len(numbers) else 0
