# SPDX-License-Identifier: Apache-2.0
"""Checks and mends the outline, the box and the area of one annotation.

The loops are plain Python: COCO's own files have a million polygons, most too short for NumPy to
pay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from pycocotools import mask as coco_mask

from .mending.causes import (
    BOXES_EMPTY,
    BOXES_MISFIT,
    DEGENERATE,
    DEGENERATE_PARTS,
    FAULTY_OUTLINES,
    NO_OUTLINES,
    OTHER_FORMS,
    OUTSIDE,
    ZERO_AREAS,
    Cause,
    brief,
    mismatch,
)
from .mending.fields import finite_number, whole_number
from .segmentation import Extent, Segmentation, counts_of, extent_of, run_lengths_of

_NUMBERS = {int, float}
_FAR = 10
"""Vertices this many image sides away are an error: rasterising them would take all memory."""
_LEAST_BOX_IOU = 0.5
_FEW_POINTS = 4
_ROUNDING = 1e-6
_SLACK = 16  # pixels of area that rounding explains
_POLYGON = "a list of numbers x1, y1, x2, y2, ..."

Note = tuple[Cause, str]
"""What is wrong with one annotation: the cause, and what was expected and found."""


class Outline(NamedTuple):
    """What the segmentation of an annotation is read as.

    Attributes:
        segmentation: Polygons or run lengths as in the file where nothing had to be mended; None:
            there is nothing to learn from.
        extent: Of all polygons, or of the run lengths, in pixels.
        notes: What is wrong with it.
    """

    segmentation: Any
    extent: Extent
    notes: Sequence[Note]


def _nothing(cause: Cause, text: str) -> Outline:
    return Outline(None, (0, 0, 0, 0), [(cause, text)])


def segmentation_fault(segmentation: Any, width: int, height: int) -> str | None:
    """Say why polygons or run lengths cannot be used in an image of a size in pixels, or None."""
    outline = check_outline(segmentation, width, height)
    return outline.notes[0][1] if outline.segmentation is None else None


def check_outline(segmentation: Any, width: int, height: int) -> Outline:
    """Check and mend polygons or run lengths against the size of their image in pixels."""
    if isinstance(segmentation, Mapping):
        return _check_run_lengths(segmentation, width, height)
    usual = isinstance(segmentation, list) and segmentation
    if usual and not any(_polygon_fault(each, width, height) for each in segmentation):
        return _locate(segmentation, width, height, ())
    return _check_unusual(segmentation, width, height)


def _check_unusual(segmentation: Any, width: int, height: int) -> Outline:
    if segmentation is not None and not isinstance(segmentation, list):
        return _nothing(
            FAULTY_OUTLINES, mismatch("segmentation", "polygons or run lengths", segmentation)
        )
    if not segmentation:
        expected = "polygons or run lengths, got nothing"
        if segmentation is not None:
            expected = "at least one polygon, got none"
        return _nothing(NO_OUTLINES, f"segmentation: expected {expected}")
    polygons = _as_polygons(segmentation)
    notes: list[Note] = []
    if polygons != segmentation:
        text = mismatch("segmentation", f"polygons, each {_POLYGON}", segmentation)
        notes.append((OTHER_FORMS, text))
    good, degenerate = [], []
    for index, polygon in enumerate(polygons):
        fault = _polygon_fault(polygon, width, height)
        if fault is None:
            good.append(polygon)
        elif _is_degenerate(polygon):
            degenerate.append(f"segmentation[{index}]: {fault}")
        else:
            return _nothing(FAULTY_OUTLINES, f"segmentation[{index}]: {fault}")
    if not good:
        return _nothing(DEGENERATE if any(polygons) else NO_OUTLINES, degenerate[0])
    return _locate(
        good, width, height, [*notes, *((DEGENERATE_PARTS, text) for text in degenerate)]
    )


def _as_polygons(segmentation: list[Any]) -> list[Any]:
    """Read one polygon without its list, points as pairs, and numbers as text."""
    is_flat = all(finite_number(each) is not None for each in segmentation)
    is_points = len(segmentation) > 2 and all(map(_is_point, segmentation))
    return list(map(_as_numbers, [segmentation] if is_flat or is_points else segmentation))


def _as_numbers(polygon: Any) -> Any:
    if not isinstance(polygon, list):
        return polygon
    if polygon and all(map(_is_point, polygon)):
        polygon = [number for point in polygon for number in point]
    numbers = [finite_number(each) if type(each) is str else each for each in polygon]
    return polygon if None in numbers else numbers


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(finite_number(each) is not None for each in value)
    )


def _is_degenerate(polygon: Any) -> bool:
    """Whether it is no polygon, but no part of an outline is lost with it either."""
    return polygon is None or (
        isinstance(polygon, list) and len(polygon) < 6 and _NUMBERS.issuperset(map(type, polygon))
    )


def _polygon_fault(polygon: Any, width: int, height: int) -> str | None:
    if not isinstance(polygon, list) or not _NUMBERS.issuperset(map(type, polygon)):
        return mismatch("", _POLYGON, polygon)
    if len(polygon) < 6:
        return f"expected at least 3 points (6 numbers), got {len(polygon)} numbers"
    if len(polygon) % 2:
        return f"expected x and y of each point, got {len(polygon)} numbers"
    if not _is_finite(polygon):
        return "expected finite numbers, got NaN, infinity or a sum beyond all bounds"
    limit = _FAR * max(width, height)
    if min(polygon) < -limit or max(polygon) > limit:
        far = max(polygon, key=abs)
        return f"expected coordinates in or near the image of {width}x{height}, got {far:g}"
    return None


def _is_finite(numbers: Sequence[float]) -> bool:
    try:
        return math.isfinite(sum(numbers))
    except OverflowError:  # a whole number that is too large for a float
        return False


def _locate(polygons: list[list[float]], width: int, height: int, notes: Sequence[Note]) -> Outline:
    """Find the extent of good polygons; some of them must be in the image, and have an area."""
    extents = [_extent_of_polygon(polygon) for polygon in polygons]
    extent = extents[0]
    if len(extents) > 1:
        lefts, tops, rights, bottoms = zip(*extents, strict=True)
        extent = min(lefts), min(tops), max(rights), max(bottoms)
    left, top, right, bottom = extent
    if not any(_touches(each, width, height) for each in extents):
        return _nothing(
            OUTSIDE,
            f"segmentation: expected a polygon within the image of {width}x{height} pixels, "
            f"got {corners(extent)}",
        )
    if left == right or top == bottom or _is_line(polygons):
        return _nothing(
            ZERO_AREAS,
            "segmentation: expected an outline of some area, got a line or a point, "
            f"{corners(extent)}",
        )
    return Outline(polygons, extent, notes)


def _extent_of_polygon(polygon: list[float]) -> Extent:
    """Return what `segmentation.extent_of` does of one polygon, in a third of the time."""
    xs, ys = polygon[0::2], polygon[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _is_line(polygons: Sequence[Sequence[float]]) -> bool:
    """Whether a polygon of few points, and nothing else, has no area."""
    if len(polygons) > 1 or len(polygons[0]) > 2 * _FEW_POINTS:
        return False
    (x, *xs), (y, *ys) = polygons[0][0::2], polygons[0][1::2]
    sides = [(other_x - x, other_y - y) for other_x, other_y in zip(xs, ys, strict=True)]
    return all(abs(a * d - b * c) < _ROUNDING for (a, b), (c, d) in combinations(sides, 2))


def _check_run_lengths(runs: Mapping[str, Any], width: int, height: int) -> Outline:
    size, counts = runs.get("size"), runs.get("counts")
    if size != [height, width]:
        sides = [whole_number(side) for side in size] if isinstance(size, list) else None
        if sides != [height, width]:
            expected = f"[{height}, {width}] (height, width of the image)"
            return _nothing(FAULTY_OUTLINES, mismatch("segmentation.size", expected, size))
    if isinstance(counts, str):
        try:
            decoded: list[Any] = counts_of(counts).tolist()
        except ValueError as error:
            return _nothing(FAULTY_OUTLINES, f"segmentation.counts: {error}, got {brief(counts)}")
    elif isinstance(counts, list) and {int}.issuperset(map(type, counts)):
        decoded = counts
    else:
        decoded = [whole_number(run) for run in counts] if isinstance(counts, list) else [None]
        if None in decoded:
            expected = "a string or a list of whole numbers"
            return _nothing(FAULTY_OUTLINES, mismatch("segmentation.counts", expected, counts))
        counts = decoded
    least, total, area = min(decoded, default=0), sum(decoded), sum(decoded[1::2])
    if least < 0:
        text = f"segmentation.counts: expected runs of 0 pixels or more, got {least}"
        return _nothing(FAULTY_OUTLINES, text)
    if total != width * height:
        text = f"segmentation.counts: expected runs that add up to {width * height} pixels "
        return _nothing(FAULTY_OUTLINES, text + f"({width}x{height}), got {total}")
    if not area:
        return _nothing(ZERO_AREAS, "segmentation: expected at least one pixel, got an empty mask")
    usual = size == [height, width] and counts is runs["counts"]
    mended = runs if usual else {**runs, "size": [height, width], "counts": counts}
    text = mismatch("segmentation", "run lengths of whole numbers", runs)
    extent = extent_of(run_lengths_of(mended, height, width))
    return Outline(mended, extent, [] if usual else [(OTHER_FORMS, text)])


def box_fault(box: Any, extent: Extent, width: int, height: int) -> Note | None:
    """Check a box x, y, width, height against the outline and the size of its image in pixels."""
    if not isinstance(box, list) or len(box) != 4 or not _NUMBERS.issuperset(map(type, box)):
        return BOXES_MISFIT, mismatch("bbox", "4 numbers x, y, width, height", box)
    if not _is_finite(box):
        return BOXES_MISFIT, mismatch("bbox", "finite numbers", box)
    x, y, w, h = box
    if w < 0 or h < 0:
        return BOXES_MISFIT, f"bbox: expected width and height >= 0, got {w:g} and {h:g}"
    if not _touches((x, y, x + w, y + h), width, height):
        expected = f"a box within the image of {width}x{height} pixels"
        return BOXES_MISFIT, mismatch("bbox", expected, box)
    if not w or not h:
        return BOXES_EMPTY, f"bbox: expected some width and height, got {w:g} x {h:g}"
    if not fits((x, y, x + w, y + h), extent):
        found = corners((x, y, x + w, y + h))
        text = f"bbox: expected a box about the outline, {corners(extent)}, got {found}"
        return BOXES_MISFIT, text
    return None


def fits(box: Extent, extent: Extent) -> bool:
    """Whether a box is about that of an outline; edges are rounded in many ways."""
    left, top = max(box[0], extent[0]), max(box[1], extent[1])
    right, bottom = min(box[2], extent[2]), min(box[3], extent[3])
    common = max(right - left + 2, 0) * max(bottom - top + 2, 0)
    union = _loose_area(box) + _loose_area(extent) - common
    return common >= _LEAST_BOX_IOU * union


def _loose_area(extent: Extent) -> float:
    """Area with a pixel more on each side."""
    left, top, right, bottom = extent
    return (right - left + 2) * (bottom - top + 2)


def area_fault(
    area: float, segmentation: Segmentation, extent: Extent, width: int, height: int
) -> tuple[str, float] | None:
    """Check an area in pixels against a sound outline.

    Only what is far off is an error, which would put the object into another of COCO's size
    classes: programs count the pixels of edges differently, and some state the area of the box.

    Returns:
        What was expected and found, and the area of the mask; None where nothing is wrong.
    """
    sides = extent[2] - extent[0], extent[3] - extent[1]
    around = sides[0] * sides[1]
    too_large = area > around + 2 * sum(sides) + _SLACK
    if not too_large and area > 0 and area >= around / 20 - _SLACK:
        return None
    exact = float(coco_mask.area(run_lengths_of(segmentation, height, width)))
    if too_large or area < exact / 2 - _SLACK or area <= 0 < exact:
        return f"area: expected about {exact:g} pixels, got {area:g}", exact
    return None


def _touches(extent: Extent, width: int, height: int) -> bool:
    """Whether an extent lies in the image or at its border."""
    left, top, right, bottom = extent
    return right >= 0 and bottom >= 0 and left <= width and top <= height


def corners(extent: Extent) -> str:
    """Write an extent as messages have it."""
    left, top, right, bottom = extent
    return f"x {left:g} to {right:g}, y {top:g} to {bottom:g}"
