# SPDX-License-Identifier: Apache-2.0
"""Checks and mends the annotations of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yolact_ros.datasets.annotation_checks import (
    Note,
    Outline,
    area_fault,
    box_fault,
    check_outline,
    fits,
)
from yolact_ros.datasets.segmentation import Extent

from .categories import Categories
from .causes import (
    ABSURD_AREAS,
    BOXES_MISFIT,
    CROWDS_AS_OBJECTS,
    CROWDS_ONLY,
    DEGENERATE,
    DUPLICATE_IDS,
    EMPTIED_PICTURES,
    FAULTY_OUTLINES,
    NAMES_AS_IDS,
    NO_ENTRIES,
    NO_IDS,
    NO_OUTLINES,
    NORMALISED,
    NULL_FIELDS,
    STRANGE_CROWDS,
    TEXT_IDS,
    TEXT_NUMBERS,
    UNKNOWN_CATEGORIES,
    UNKNOWN_IMAGES,
    Findings,
    mismatch,
    share,
)
from .fields import Key, finite_number, key_of, unused, whole_number
from .images import ImageEntry

_NUMBERS = {int, float}
_MOST_OF_THEM = 0.9
_LOST_OUTLINES = (NO_OUTLINES, DEGENERATE, FAULTY_OUTLINES)
"""Causes after which there is an object in the picture, but nobody knows where."""
_READINGS = (
    "corners x1, y1, x2, y2",
    "shares of the picture",
    "centre, width and height",
    "shares of the picture: centre, width and height, as in YOLO's files",
)
"""What the numbers of boxes may mean that are not x, y, width, height in pixels."""


@dataclass(slots=True)
class _Changes:
    """What differs from one entry in the mended set.

    Attributes:
        fields: New values.
        absent: Fields to leave out.
        notes: What is wrong, for messages.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def apply(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return the entry of the mended set; the same object if nothing changes."""
        if not self.fields and not self.absent:
            return entry
        mended = {**entry, **self.fields}
        for name in self.absent:
            del mended[name]
        return mended


@dataclass
class Annotations:
    """Goes through the annotations and collects those of the mended set.

    Attributes:
        kept: They, in the order of the file.
        lost_images, lost_categories: Ids of what has lost annotations.
    """

    images: Mapping[Key, ImageEntry]
    categories: Categories
    findings: Findings
    crowds_as_objects: bool
    kept: list[dict[str, Any]] = field(default_factory=list)
    lost_images: set[int] = field(default_factory=set)
    lost_categories: set[int] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set)
    _unlabelled: set[int] = field(default_factory=set)  # images of such objects
    _unnumbered: list[int] = field(default_factory=list)  # places in `kept`
    _boxes: int = 0
    _boxes_misfit: int = 0
    _readings: Counter[str] = field(default_factory=Counter)
    _by_file: dict[str, ImageEntry] = field(default_factory=dict)

    def check(self, entries: Sequence[Any]) -> None:
        """Check all entries, and what is only seen in all of them together."""
        normalised = _are_normalised(entries)
        self._by_file = {each.file_name: each for each in self.images.values() if each.file_name}
        for index, entry in enumerate(entries):
            if isinstance(entry, dict):
                self._check(index, entry, normalised)
            else:
                text = mismatch("", "an object", entry)
                self.findings.add(NO_ENTRIES, f"annotations[{index}]", text)
        free = unused(self._seen)
        for place in self._unnumbered:
            self.kept[place] = {**self.kept[place], "id": next(free)}
        self._guess_boxes()
        self._leave_out_unlabelled()
        boxes = sum(problem.kind == NO_OUTLINES.kind for problem in self.findings.problems)
        if boxes:
            text = f"{share(boxes, len(entries))} annotations have no outline"
            self.findings.guess(NO_OUTLINES, text)

    def _check(self, index: int, entry: dict[str, Any], normalised: bool) -> None:
        changes = _Changes()
        number = self._number(index, entry, changes)
        image = self._image(entry.get("image_id"), changes)
        category = self._category(entry.get("category_id"), changes)
        sound = image is not None and image.entry is not None and category is not None
        sound &= self._is_crowd_known(entry, changes)
        if image is not None and image.width:
            sound &= self._has_outline(entry, image, normalised, changes)
        if changes.notes:
            given = entry.get("id")
            where = f"annotations[{index}]" if key_of(given) is None else f"annotation {given}"
            if image is not None:
                where += f" (image {image.id}, {image.file_name})"
            for cause, text in changes.notes:
                self.findings.add(cause, where, text)
        if sound:
            if number is None:
                self._unnumbered.append(len(self.kept))
            self.kept.append(changes.apply(entry))
            return
        if image is not None:
            self.lost_images.add(image.id)
            if any(cause in _LOST_OUTLINES for cause, _ in changes.notes):
                self._unlabelled.add(image.id)
        if category is not None:
            self.lost_categories.add(category)

    def _number(self, index: int, entry: Mapping[str, Any], changes: _Changes) -> int | None:
        """Return the id; None where the annotation is to be numbered anew."""
        given = entry.get("id")
        number = given if type(given) is int else whole_number(given)
        if number is None:
            cause = NO_IDS if given is None else TEXT_IDS
            changes.notes.append((cause, mismatch("id", "a whole number", given)))
        elif number in self._seen:
            text = f"id: expected one annotation with this id, got another at annotations[{index}]"
            changes.notes.append((DUPLICATE_IDS, text))
            return None
        else:
            self._seen.add(number)
            if type(given) is not int:
                changes.notes.append((TEXT_NUMBERS, mismatch("id", "a whole number", given)))
                changes.fields["id"] = number
        return number

    def _image(self, given: Any, changes: _Changes) -> ImageEntry | None:
        key = given if type(given) is int else key_of(given)
        image = None if key is None else self.images.get(key)
        if image is None and isinstance(given, str) and given in self._by_file:
            image = self._by_file[given]
            text = mismatch("image_id", "the id of an image", given)
            changes.notes.append((NAMES_AS_IDS, text))
        elif image is None:
            text = mismatch("image_id", "the id of an image", given)
            changes.notes.append((UNKNOWN_IMAGES, text))
        elif key is not given and type(key) is int:
            text = mismatch("image_id", "a whole number", given)
            changes.notes.append((TEXT_NUMBERS, text))
        if image is not None and (type(given) is not int or image.id != given):
            changes.fields["image_id"] = image.id
        return image

    def _category(self, given: Any, changes: _Changes) -> int | None:
        key = given if type(given) is int else key_of(given)
        number = None if key is None else self.categories.ids.get(key)
        if key is not None and key in self.categories.ids:
            if key is not given and type(key) is int:
                text = mismatch("category_id", "a whole number", given)
                changes.notes.append((TEXT_NUMBERS, text))
        elif isinstance(given, str) and given in self.categories.by_name:
            number = self.categories.by_name[given]
            text = mismatch("category_id", "the id of a category", given)
            changes.notes.append((NAMES_AS_IDS, text))
        else:
            text = mismatch("category_id", "the id of a category", given)
            changes.notes.append((UNKNOWN_CATEGORIES, text))
        if number is not None and (type(given) is not int or number != given):
            changes.fields["category_id"] = number
        return number

    def _is_crowd_known(self, entry: Mapping[str, Any], changes: _Changes) -> bool:
        given = entry.get("iscrowd", 0)
        value = whole_number(given) if type(given) is str else given
        if value is None and given is None:
            changes.notes.append((NULL_FIELDS, mismatch("iscrowd", "0 or 1", given)))
            value = changes.fields["iscrowd"] = 0
        elif value not in (0, 1):
            changes.notes.append((STRANGE_CROWDS, mismatch("iscrowd", "0 or 1", given)))
            return False
        elif type(given) is not int:
            changes.fields["iscrowd"] = int(value)
            if type(given) is str:
                changes.notes.append((TEXT_NUMBERS, mismatch("iscrowd", "0 or 1", given)))
        if value and self.crowds_as_objects:
            changes.notes.append((CROWDS_AS_OBJECTS, "iscrowd: expected 0, got 1"))
            changes.fields["iscrowd"] = 0
        return True

    def _has_outline(
        self, entry: Mapping[str, Any], image: ImageEntry, normalised: bool, changes: _Changes
    ) -> bool:
        segmentation, box = entry.get("segmentation"), entry.get("bbox")
        width, height = image.width, image.height
        if normalised and isinstance(segmentation, list):
            text = mismatch("segmentation", "coordinates in pixels", segmentation)
            changes.notes.append((NORMALISED, text))
            segmentation = [_multiplied(each, width, height) for each in segmentation]
            changes.fields["segmentation"] = segmentation
            if _is_share(box):
                box = changes.fields["bbox"] = _multiplied(box, width, height)
        outline = check_outline(segmentation, width, height)
        changes.notes += outline.notes
        if outline.segmentation is None:
            return False
        if outline.segmentation is not segmentation:
            changes.fields["segmentation"] = outline.segmentation
        if "bbox" in entry:
            self._check_box(box, outline.extent, image, changes)
        if "area" in entry:
            _check_area(entry["area"], outline, image, changes)
        return True

    def _check_box(self, given: Any, extent: Extent, image: ImageEntry, changes: _Changes) -> None:
        if given is None or given == []:
            changes.notes.append((NULL_FIELDS, mismatch("bbox", "4 numbers", given)))
            _leave_out("bbox", changes)
            return
        box = given
        if isinstance(given, list) and not _NUMBERS.issuperset(map(type, given)):
            box = [finite_number(side) for side in given]
            if None not in box:
                changes.notes.append((TEXT_NUMBERS, mismatch("bbox", "4 numbers", given)))
                changes.fields["bbox"] = box
        self._boxes += 1
        fault = box_fault(box, extent, image.width, image.height)
        if fault is None:
            return
        changes.notes.append(fault)
        _leave_out("bbox", changes)
        if isinstance(box, list) and len(box) == 4 and None not in map(finite_number, box):
            self._boxes_misfit += 1
            for name, (left, top, right, bottom) in zip(
                _READINGS, _readings_of(box, image), strict=True
            ):
                if left < right and top < bottom and fits((left, top, right, bottom), extent):
                    self._readings[name] += 1

    def _guess_boxes(self) -> None:
        """Guess what the numbers of the boxes mean if most are not about the outlines."""
        if not self._boxes_misfit or self._boxes_misfit < self._boxes / 2:
            return
        for name, count in self._readings.most_common(1):
            if count >= _MOST_OF_THEM * self._boxes_misfit:
                text = f"they look like {name}: all boxes are computed from the outlines"
                self.findings.guess(BOXES_MISFIT, text)
                for place, entry in enumerate(self.kept):
                    if "bbox" in entry:
                        self.kept[place] = {k: v for k, v in entry.items() if k != "bbox"}

    def use_lone_crowds(self) -> None:
        """Read crowds as objects if there is nothing else, so that there is something to learn."""
        if self.kept and all(entry.get("iscrowd", 0) for entry in self.kept):
            text = f"annotations: expected objects, got {len(self.kept)} crowd regions (iscrowd 1) "
            self.findings.add(CROWDS_ONLY, "", text + "and nothing else")
            self.kept = [{**entry, "iscrowd": 0} for entry in self.kept]

    def _leave_out_unlabelled(self) -> None:
        left = self._unlabelled - {entry["image_id"] for entry in self.kept}
        for image in self.images.values():
            if image.id in left and image.entry is not None:
                text = "expected at least one outline that can be used, got none"
                self.findings.add(EMPTIED_PICTURES, image.where, text)
                image.entry = None


def _check_area(given: Any, outline: Outline, image: ImageEntry, changes: _Changes) -> None:
    if given is None:
        changes.notes.append((NULL_FIELDS, mismatch("area", "a number of pixels", given)))
        changes.absent.append("area")
        return
    area = finite_number(given)
    if area is None or area < 0:
        text = mismatch("area", "a finite number of pixels >= 0", given)
        changes.notes.append((ABSURD_AREAS, text))
        changes.absent.append("area")
        return
    if area is not given:
        changes.notes.append((TEXT_NUMBERS, mismatch("area", "a number of pixels", given)))
        changes.fields["area"] = area
    fault = area_fault(area, outline.segmentation, outline.extent, image.width, image.height)
    if fault is not None:
        text, changes.fields["area"] = fault
        changes.notes.append((ABSURD_AREAS, text))


def _leave_out(name: str, changes: _Changes) -> None:
    changes.fields.pop(name, None)
    changes.absent.append(name)


def _are_normalised(entries: Sequence[Any]) -> bool:
    """Whether all polygons have coordinates from 0 to 1; stops at the first that has others."""
    found = False
    for entry in entries:
        segmentation = entry.get("segmentation") if isinstance(entry, dict) else None
        for polygon in segmentation if isinstance(segmentation, list) else ():
            if isinstance(polygon, list) and len(polygon) >= 6:
                if not _is_share(polygon):
                    return False
                found = True
    return found


def _is_share(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(
        type(number) in _NUMBERS and 0 <= number <= 1 for number in numbers
    )


def _multiplied(numbers: Any, width: int, height: int) -> Any:
    """Multiply x, y, x, y... from 0 to 1 by a size in pixels; keep anything else."""
    if not _is_share(numbers):
        return numbers
    return [number * (height if index % 2 else width) for index, number in enumerate(numbers)]


def _readings_of(box: Sequence[float], image: ImageEntry) -> tuple[Extent, ...]:
    """Return the extents that four numbers stand for, in the order of `_READINGS`."""
    a, b, c, d = box
    x, y, w, h = _multiplied_box(box, image)
    return (
        (a, b, c, d),
        (x, y, x + w, y + h),
        (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2),
    )


def _multiplied_box(box: Sequence[float], image: ImageEntry) -> tuple[float, float, float, float]:
    a, b, c, d = box
    return a * image.width, b * image.height, c * image.width, d * image.height
