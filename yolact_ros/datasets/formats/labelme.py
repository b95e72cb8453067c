# SPDX-License-Identifier: Apache-2.0
"""Reads LabelMe's own JSON files, one beside each picture."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from yolact_ros.datasets.annotation_checks import segmentation_fault
from yolact_ros.datasets.pictures import PICTURE_SUFFIXES, look_at
from yolact_ros.datasets.segmentation import Segmentation, decode_segmentation, encode_mask
from yolact_ros.errors import InputError

from .collection import Collection, Imported
from .finding import PictureFinder

_WITHOUT_AREA = ("point", "points", "line", "linestrip")
_NO_OBJECTS = ("__ignore__", "_background_")
"""LabelMe's labels for pixels that are not to be learnt, and for the background."""


def is_labelme(content: Any) -> bool:
    """Whether the content of a JSON file is LabelMe's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read_labelme(source: Path, images: Path | None, embedded: Path) -> Imported:
    """Read LabelMe's files.

    As in LabelMe's own export, shapes of one label and one group are parts of one object.

    Args:
        source: A folder, searched with all below it, or one file.
        images: Folder of the pictures; None: where the files say, or beside them.
        embedded: Folder to write the pictures to that are only within their label file.

    Raises:
        InputError: There is no labelled picture.
        OSError: A picture cannot be written.
    """
    collection, finder = Collection(), PictureFinder()
    for file in [source] if source.is_file() else sorted(source.rglob("*.json")):
        try:
            content = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError):
            collection.leave_out("files that cannot be read", file)
            continue
        if not is_labelme(content):
            collection.leave_out("files that are not LabelMe's", file)
            continue
        picture = _find_picture(file, content, finder, images)
        if picture is None:
            stem = file.relative_to(source).with_suffix("") if source.is_dir() else Path(file.stem)
            picture = _write_embedded(content, embedded / stem)
        if picture is None:
            collection.leave_out("labels without their picture", file)
        elif collection.has_picture(picture):
            collection.leave_out("second label files of a picture", file)
        else:
            try:
                size = _size_of(content, picture)
            except InputError as error:
                collection.leave_out("pictures that cannot be read", error)
                continue
            collection.add_picture(picture, *size)
            _add_objects(collection, picture, content["shapes"], file, size)
    return collection.finish(())


def _find_picture(
    file: Path, content: dict[str, Any], finder: PictureFinder, images: Path | None
) -> Path | None:
    name = content.get("imagePath")
    for folder in [file.parent] if images is None else [images, file.parent]:
        found = finder.find(folder, name) if isinstance(name, str) and name else None
        if found := found or finder.find_stem(folder, file.stem):
            return found
    return None


def _write_embedded(content: dict[str, Any], path: Path) -> Path | None:
    """Write the picture that is within a label file; None: there is none that can be read."""
    try:
        data = base64.b64decode(content.get("imageData") or "", validate=False)
        with Image.open(io.BytesIO(data)) as picture:
            suffix = f".{(picture.format or '').lower()}"
    except (TypeError, ValueError, OSError, SyntaxError):
        return None
    if suffix not in PICTURE_SUFFIXES:
        return None
    path = path.with_name(path.name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _size_of(content: dict[str, Any], picture: Path) -> tuple[int, int]:
    """Return (height, width) as in the label file, or of the picture, as old files have none."""
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if type(height) is int and type(width) is int and height > 0 and width > 0:
        return height, width
    width, height = look_at(picture).size
    return height, width


def _add_objects(
    collection: Collection, picture: Path, shapes: Sequence[Any], file: Path, size: tuple[int, int]
) -> None:
    """Add the shapes of a file, those of one label and group together."""
    groups: dict[tuple[str, object], list[dict[str, Any]]] = {}
    for index, shape in enumerate(shapes):
        where = f"{file}, shape {index}"
        label = shape.get("label") if isinstance(shape, dict) else None
        kind = shape.get("shape_type") if isinstance(shape, dict) else None
        if not isinstance(label, str) or not label.strip():
            collection.leave_out("shapes without a label", where)
        elif label in _NO_OBJECTS:
            collection.leave_out(f"shapes that are no objects ({label})", where)
        elif kind in _WITHOUT_AREA:
            collection.leave_out(f"shapes without area ({kind})", where)
        else:
            group = shape.get("group_id")
            key = (label, index if group is None else f"group {group}")
            groups.setdefault(key, []).append({**shape, "where": where})
    for (label, _), parts in groups.items():
        outlines = []
        for part in parts:
            try:
                outlines.append(_outline(part, size))
            except (ArithmeticError, LookupError, TypeError, ValueError, OSError) as error:
                collection.leave_out("shapes that cannot be read", f"{part['where']}: {error}")
        if outlines:
            collection.add_object(picture, label, _joined(outlines, size), parts[0]["where"])


def _outline(shape: dict[str, Any], size: tuple[int, int]) -> list[float] | npt.NDArray[np.bool_]:
    """Return a polygon, x and y in turn, or a mask (H, W)."""
    points = [(float(x), float(y)) for x, y in shape["points"]]
    kind = shape.get("shape_type") or "polygon"
    if kind == "mask":
        return _painted(shape["mask"], points, size)
    if kind == "circle":
        points = _circle(points)
    if kind == "rectangle" and len(points) == 2:
        (x1, y1), (x2, y2) = points
        points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    return [number for point in points for number in point]


def _circle(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a polygon with as many points as LabelMe's export gives it."""
    if len(points) != 2:
        raise ValueError(f"expected the centre and a point of the circle, got {len(points)} points")
    radius = math.dist(*points)
    # so many that no edge is a pixel within the circle
    count = max(int(math.pi / math.acos(1 - 1 / radius)), 12) if radius > 1 else 12
    angles = [2 * math.pi * index / count for index in range(count)]
    x, y = points[0]
    return [(x + radius * math.sin(angle), y + radius * math.cos(angle)) for angle in angles]


def _painted(
    text: str, points: Sequence[tuple[float, float]], size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return the mask of a painted shape: a PNG of its rectangle, the first point at its corner."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        pixels = np.asarray(picture.convert("L")) > 0
    left, top = (int(number) for number in points[0])
    mask = np.zeros(size, np.bool_)
    inside = mask[max(top, 0) : top + pixels.shape[0], max(left, 0) : left + pixels.shape[1]]
    pixels = pixels[max(-top, 0) :, max(-left, 0) :]
    inside[:] = pixels[: inside.shape[0], : inside.shape[1]]
    return mask


def _joined(
    outlines: Sequence[list[float] | npt.NDArray[np.bool_]], size: tuple[int, int]
) -> Segmentation:
    """Join the parts of an object: polygons as they are, with masks among them all as a mask."""
    polygons = [outline for outline in outlines if isinstance(outline, list)]
    masks = [outline for outline in outlines if not isinstance(outline, list)]
    if not masks:
        return polygons
    height, width = size
    sound = [each for each in polygons if segmentation_fault([each], width, height) is None]
    if sound:
        masks.append(decode_segmentation(sound, *size).astype(bool))
    return encode_mask(np.logical_or.reduce(masks))
