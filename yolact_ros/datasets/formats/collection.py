# SPDX-License-Identifier: Apache-2.0
"""Gathers pictures and objects from other tools' files into the content of a COCO file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from yolact_ros.datasets.annotation_checks import segmentation_fault
from yolact_ros.datasets.paths import common_folder, relative_name
from yolact_ros.datasets.segmentation import Segmentation, measured, run_lengths_of
from yolact_ros.errors import InputError


@dataclass(frozen=True)
class Imported:
    """A data set from another tool's files.

    Attributes:
        content: For a file in COCO's format.
        image_folder: Folder that its file names are relative to.
        left_out: What could not be taken: the places, by cause.
    """

    content: dict[str, Any]
    image_folder: Path
    left_out: dict[str, list[str]]


@dataclass
class Collection:
    """Pictures and objects on their way into the content of a file.

    Attributes:
        left_out: What could not be taken: the places, by cause.
    """

    left_out: dict[str, list[str]] = field(default_factory=dict)
    _pictures: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _objects: list[tuple[Path, str, Segmentation]] = field(default_factory=list)

    def leave_out(self, cause: str, where: object) -> None:
        """Note that something could not be taken."""
        self.left_out.setdefault(cause, []).append(str(where))

    def add_picture(self, path: Path, height: int, width: int) -> None:
        """Add a picture by its file and the size in pixels that the labels refer to."""
        self._pictures[_plain(path)] = height, width

    def has_picture(self, path: Path) -> bool:
        """Whether a picture was added."""
        return _plain(path) in self._pictures

    def size_of(self, path: Path) -> tuple[int, int]:
        """Return (height, width) of a picture that was added."""
        return self._pictures[_plain(path)]

    def add_object(
        self, picture: Path, class_name: str, outline: Segmentation, where: object
    ) -> None:
        """Add an object on a picture that was added.

        Args:
            picture: Its file.
            class_name: Class of the object.
            outline: Polygons as lists of numbers, or run lengths, in pixels of the picture. What
                is no outline in it is left out; a polygon beside it stays.
            where: The place in the files that it is from.
        """
        picture = _plain(picture)
        height, width = self._pictures[picture]
        if isinstance(outline, list):
            faults = [segmentation_fault([polygon], width, height) for polygon in outline]
            outline = [
                polygon for polygon, fault in zip(outline, faults, strict=True) if fault is None
            ]
            for fault in filter(None, faults):
                self.leave_out("polygons that are none", f"{where}: {fault}")
            if not outline:
                return
        if not coco_mask.area(run_lengths_of(outline, height, width)):
            self.leave_out("outlines without a pixel", where)
            return
        self._objects.append((picture, class_name, outline))

    def finish(self, class_names: Iterable[str]) -> Imported:
        """Make the content of a file.

        Args:
            class_names: Names of the categories 1, 2, ...; classes of objects that are not among
                them follow in alphabetical order.

        Raises:
            InputError: There is no picture.
        """
        if not self._pictures:
            causes = "; ".join(f"{cause}: {each[0]}" for cause, each in self.left_out.items())
            raise InputError(f"expected labelled pictures, found none{causes and f' ({causes})'}")
        folder = common_folder(path.parent for path in self._pictures)
        used = sorted({name for _, name, _ in self._objects})
        names = list(dict.fromkeys([*class_names, *used]))
        numbers = {path: number for number, path in enumerate(self._pictures, start=1)}
        images = [
            {
                "id": numbers[path],
                "file_name": relative_name(path, folder),
                "width": width,
                "height": height,
            }
            for path, (height, width) in self._pictures.items()
        ]
        annotations = [
            {
                "id": number,
                "image_id": numbers[path],
                "category_id": names.index(name) + 1,
                "iscrowd": 0,
                **measured(outline, *self._pictures[path]),
            }
            for number, (path, name, outline) in enumerate(self._objects, start=1)
        ]
        categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        return Imported(content, folder, self.left_out)


def _plain(path: Path) -> Path:
    """Return an absolute path without "..", the same for all ways to name a file."""
    return Path(os.path.abspath(path))
