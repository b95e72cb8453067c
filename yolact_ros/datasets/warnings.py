# SPDX-License-Identifier: Apache-2.0
"""Finds what is strange in a data set, but no reason not to train on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from yolact_ros.datasets.coco import CocoDataset, CocoImage, CocoObject
from yolact_ros.datasets.image_checks import is_cut_off
from yolact_ros.datasets.problems import Problem

TINY_AREA = 16
"""Objects of fewer pixels are called tiny."""

_BORDER = 1.0  # pixels: annotation tools round to either side of it
_LEAST_BOX_IOU = 0.5

Extent = tuple[float, float, float, float]


def find_warnings(dataset: CocoDataset) -> list[Problem]:
    """Finds what is strange; reads as many bytes of images as there are files of equal size.

    Args:
        dataset: May lack some of its image files.

    Returns:
        Problems that are not fatal.
    """
    return [
        Problem(kind, where, text, fatal=False)
        for part in (_of_classes, _of_images, _of_annotations, _of_files)
        for kind, where, text in part(dataset)
    ]


Finding = tuple[str, str, str]


def _of_classes(dataset: CocoDataset) -> Iterator[Finding]:
    used = {thing.class_id for image in dataset.images for thing in image.objects}
    by_form = defaultdict(list)
    for class_id, name in enumerate(dataset.class_names):
        where = f"category {dataset.category_ids[class_id]} ({name})"
        by_form[" ".join(name.lower().split())].append(name)
        if class_id not in used:
            yield "classes without objects", where, "expected objects, got none"
    for names in by_form.values():
        if len(names) > 1:
            text = "expected names that differ in more than case and spaces"
            yield "classes that may be one", " and ".join(map(repr, names)), text


def _of_images(dataset: CocoDataset) -> Iterator[Finding]:
    for image in dataset.images:
        if not image.objects:
            yield "images without annotations", _place(image), "expected annotations, got none"


def _of_annotations(dataset: CocoDataset) -> Iterator[Finding]:
    for image in dataset.images:
        seen: dict[object, int] = {}
        for thing in image.objects:
            where = f"annotation {thing.id} ({_place(image)})"
            for kind, text in _of_object(thing, image):
                yield kind, where, text
            first = seen.setdefault(_geometry(thing), thing.id)
            if first != thing.id:
                text = f"expected an object of its own, got that of annotation {first} again"
                yield "duplicate annotations", where, text


def _of_object(thing: CocoObject, image: CocoImage) -> Iterator[tuple[str, str]]:
    extent = _extent(thing)
    size = f"{image.width}x{image.height}"
    left, top, right, bottom = extent
    if (
        min(left, top) < -_BORDER
        or right > image.width + _BORDER
        or bottom > image.height + _BORDER
    ):
        yield (
            "outlines beyond the image",
            f"expected a polygon within {size} pixels, got x {left:g} to {right:g}, "
            f"y {top:g} to {bottom:g}",
        )
    x1, y1, x2, y2 = thing.box
    if x2 <= x1 or y2 <= y1:
        yield (
            "boxes without area",
            f"expected a box of some width and height, got {x2 - x1:g} x {y2 - y1:g}: "
            "training leaves it out",
        )
    elif _loose_iou(thing.box, extent) < _LEAST_BOX_IOU:
        yield (
            "boxes that do not fit",
            f"expected a box about the outline, {_corners(extent)}, got {_corners(thing.box)}",
        )
    if not thing.crowd and thing.area < TINY_AREA:
        yield "tiny objects", f"expected {TINY_AREA} pixels or more, got {thing.area:g}"


def _of_files(dataset: CocoDataset) -> Iterator[Finding]:
    by_size = defaultdict(list)  # only files of equal size can have the same content
    for image in dataset.images:
        path = dataset.image_folder / image.file_name
        try:
            # OpenCV makes the missing part grey, and says nothing that a program could notice.
            cut_off = path.suffix.lower() in (".jpg", ".jpeg") and is_cut_off(path, "JPEG")
            by_size[path.stat().st_size].append((image, path))
        except OSError:
            continue  # that is an error, reported as such
        if cut_off:
            text = "expected the end of a JPEG file, got none"
            yield "pictures that may be cut off", _place(image), text
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


def _extent(thing: CocoObject) -> Extent:
    if isinstance(thing.segmentation, Mapping):
        x, y, width, height = coco_mask.toBbox(thing.segmentation).tolist()
        return x, y, x + width, y + height
    points = [np.reshape(polygon, (-1, 2)) for polygon in thing.segmentation]
    joined = np.concatenate(points) if len(points) > 1 else points[0]
    (left, top), (right, bottom) = joined.min(axis=0).tolist(), joined.max(axis=0).tolist()
    return left, top, right, bottom


def _loose_iou(box: Extent, extent: Extent) -> float:
    """Of the boxes with a pixel more on each side, as their edges are rounded in many ways."""
    ax1, ay1, ax2, ay2 = box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1
    bx1, by1, bx2, by2 = extent[0] - 1, extent[1] - 1, extent[2] + 1, extent[3] + 1
    width, height = min(ax2, bx2) - max(ax1, bx1), min(ay2, by2) - max(ay1, by1)
    common = max(width, 0.0) * max(height, 0.0)
    return common / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - common)


def _corners(extent: Extent) -> str:
    left, top, right, bottom = extent
    return f"x {left:g} to {right:g}, y {top:g} to {bottom:g}"
