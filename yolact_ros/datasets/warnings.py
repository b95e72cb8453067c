# SPDX-License-Identifier: Apache-2.0
"""Finds what is suspicious in a data set but does not rule out training on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .annotation_checks import corners
from .classes import names_alike
from .coco import CocoDataset, CocoImage, CocoObject
from .mending.causes import Problem
from .pictures import PictureHeader
from .segmentation import Extent, extent_of

TINY_AREA = 16
"""Objects with fewer pixels are called tiny."""

LARGE_SIDE = 4 * 700
"""Pictures with a longer side, four times that of the largest preset's input, are called large."""

_BORDER = 1.0  # pixels: annotation tools round to either side of it
_CUT = 2.0, 0.05
"""Pixels, and share of an outline's side, that a box may leave out: programs round it."""
_FEW_OBJECTS = 9  # that may all be rectangles

Finding = tuple[str, str, str]
"""Kind, place and text of a warning."""


def find_warnings(
    dataset: CocoDataset,
    pictures: Mapping[int, PictureHeader],
    emptied: tuple[Collection[int], Collection[int]] = ((), ()),
) -> list[Problem]:
    """Look for what is suspicious; image files of equal size are read in full.

    Args:
        dataset: Some of its image files may be missing.
        pictures: What the others say, by image id; see `problems.examine`.
        emptied: Ids of the images, and those of the categories, that have lost annotations: that
            they have none left is no news.

    Returns:
        Problems that are not fatal, but for one: where there are crowds alone.
    """
    findings = (
        _of_classes(dataset, emptied[1]),
        _of_images(dataset, emptied[0]),
        _of_annotations(dataset),
        _of_outlines(dataset),
        _of_pictures(dataset, pictures),
        _of_orientations(dataset, pictures),
        _of_files(dataset),
    )
    problems = [
        Problem(kind, where, text, fatal=False) for part in findings for kind, where, text in part
    ]
    if lack := dataset.lack_of_objects:
        crowds = any(image.objects for image in dataset.images)
        problems.insert(0, Problem("no objects", "", f"{lack}; train refuses it", fatal=crowds))
    return problems


def _of_classes(dataset: CocoDataset, emptied: Collection[int]) -> Iterator[Finding]:
    crowds: Counter[int] = Counter()
    objects: Counter[int] = Counter()
    for image in dataset.images:
        for thing in image.objects:
            (crowds if thing.crowd else objects)[thing.class_id] += 1
    for class_id, name in enumerate(dataset.class_names):
        where = f"category {dataset.category_ids[class_id]} ({name})"
        if crowds[class_id] and not objects[class_id]:
            text = f"expected objects, got {crowds[class_id]} crowd regions, of which nothing is "
            text += "learnt; CVAT marks painted masks so: `dataset mend --crowds-as-objects`"
            yield "classes with crowds only", where, text
        elif not objects[class_id] and dataset.category_ids[class_id] not in emptied:
            yield "classes without objects", where, "expected objects, got none"
    for names in names_alike(dataset.class_names):
        text = "expected names that differ in more than case and spaces"
        yield "classes that may be one", " and ".join(map(repr, names)), text


def _of_images(dataset: CocoDataset, emptied: Collection[int]) -> Iterator[Finding]:
    for image in dataset.images:
        if not image.objects and image.id not in emptied:
            yield "images without annotations", _place(image), "expected annotations, got none"


def _of_annotations(dataset: CocoDataset) -> Iterator[Finding]:
    for image in dataset.images:
        seen: dict[object, int] = {}
        for thing in image.objects:
            found = list(_of_object(thing, image))
            first = seen.setdefault(_geometry(thing), thing.id)
            if first != thing.id:
                text = f"expected an object of its own, got that of annotation {first} again"
                found.append(("duplicate annotations", text))
            for kind, text in found:
                yield kind, f"annotation {thing.id} ({_place(image)})", text


def _of_object(thing: CocoObject, image: CocoImage) -> Iterator[tuple[str, str]]:
    extent = extent_of(thing.segmentation)
    left, top, right, bottom = extent
    if (
        min(left, top) < -_BORDER
        or right > image.width + _BORDER
        or bottom > image.height + _BORDER
    ):
        yield (
            "outlines beyond the image",
            f"expected a polygon within {image.width}x{image.height} pixels, got {corners(extent)}",
        )
    if not thing.crowd and _cuts(thing.box, extent, image):
        yield (
            "boxes tighter than outlines",
            f"expected a box around {corners(extent)}, got {corners(thing.box)}: "
            "`--recipe published` crops masks by it, and each pixel of the outline beyond adds 100 "
            "to the mask loss; `--augment tight_boxes=on` takes boxes from the masks",
        )
    if not thing.crowd and thing.area < TINY_AREA:
        yield "tiny objects", f"expected {TINY_AREA} pixels or more, got {thing.area:g}"


def _cuts(box: Extent, outline: Extent, image: CocoImage) -> bool:
    """Whether a box leaves out some of the part of an outline that is in the image."""
    for side, end in ((0, image.width), (1, image.height)):
        first, last = max(outline[side], 0), min(outline[side + 2], end)
        left_out = max(box[side] - first, last - box[side + 2])
        if left_out > max(_CUT[0], _CUT[1] * (last - first)):
            return True
    return False


def _of_pictures(dataset: CocoDataset, pictures: Mapping[int, PictureHeader]) -> Iterator[Finding]:
    for image in dataset.images:
        picture = pictures.get(image.id)  # None: an error, which `examine` reports
        if picture is not None and picture.cut_off:
            # OpenCV fills the missing part with grey and reports nothing.
            text = "expected the end of a JPEG file, got none"
            yield "pictures that may be cut off", _place(image), text
        if max(image.width, image.height) > LARGE_SIDE:
            yield (
                "large pictures",
                _place(image),
                f"expected sides of at most {LARGE_SIDE} pixels, got {image.width}x{image.height}: "
                "small things vanish when it is shrunk to the network's input; cut it into tiles",
            )


def _of_orientations(
    dataset: CocoDataset, pictures: Mapping[int, PictureHeader]
) -> Iterator[Finding]:
    as_stored, either_way = 0, 0
    for image in dataset.images:
        picture = pictures.get(image.id)
        if picture is None or picture.orientation == 1:
            continue
        orientation = f"orientation {picture.orientation}"
        if picture.orientation_for((image.width, image.height)) == 1:
            as_stored += 1
            yield (
                "pictures not turned as their EXIF says",
                _place(image),
                f"the labels' size fits the stored pixels alone, so {orientation} is not applied; "
                "viewers and `yolact-ros predict` turn the picture",
            )
        else:
            unsure = picture.size == picture.stored
            either_way += unsure
            yield (
                "pictures turned as their EXIF says",
                _place(image),
                f"{orientation} is applied: expected labels drawn on the upright picture"
                + ", which its size does not tell" * unsure,
            )
    if as_stored and either_way:
        yield (
            "pictures turned as their EXIF says",
            "",
            f"the labels of {as_stored} image{'s' * (as_stored > 1)} were drawn on the stored "
            f"pixels; if those of the {either_way} whose size does not tell were, too, remove "
            "their orientation: exiftool -Orientation= FILES",
        )


def _of_outlines(dataset: CocoDataset) -> Iterator[Finding]:
    """Notice outlines that were made of boxes: masks learnt from them are boxes, too."""
    count = 0
    for image in dataset.images:
        for thing in image.objects:
            if isinstance(thing.segmentation, Mapping) or not _is_rectangle(thing.segmentation):
                return
            count += 1
    if count > _FEW_OBJECTS:
        text = f"expected outlines of objects, got {count} rectangles: masks will be boxes, too"
        yield "outlines that are boxes", "", text


def _is_rectangle(polygons: Sequence[Sequence[float] | npt.NDArray[np.float64]]) -> bool:
    """Whether an outline is one rectangle with upright sides."""
    if len(polygons) > 1 or len(polygons[0]) not in (8, 10):
        return False
    corners = set(zip(polygons[0][0::2], polygons[0][1::2], strict=True))
    left, top, right, bottom = extent_of(polygons)
    return corners == {(left, top), (right, top), (right, bottom), (left, bottom)}


def _of_files(dataset: CocoDataset) -> Iterator[Finding]:
    by_size = defaultdict(list)  # only files of equal size can have the same content
    for image in dataset.images:
        path = dataset.image_folder / image.file_name
        with suppress(OSError):  # an error, which `examine` reports
            by_size[path.stat().st_size].append((image, path))
    for alike in by_size.values():
        first: dict[str, CocoImage] = {}
        for image, path in alike if len(alike) > 1 else ():
            other = first.setdefault(_digest(path), image)
            if other is not image:
                text = f"expected another picture than {other.file_name}, got the same bytes"
                yield "duplicate pictures", _place(image), text


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return str(path)


def _place(image: CocoImage) -> str:
    return f"image {image.id}, {image.file_name}"


def _geometry(thing: CocoObject) -> object:
    if isinstance(thing.segmentation, Mapping):
        return thing.class_id, thing.segmentation["counts"]
    return thing.class_id, tuple(np.asarray(polygon).tobytes() for polygon in thing.segmentation)
