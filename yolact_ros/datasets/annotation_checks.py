# SPDX-License-Identifier: Apache-2.0
"""Checks the outline and the box of one annotation.

Each check returns what was expected and what was found, or None. The loops are plain Python: COCO's
own files have a million polygons, most too short for NumPy to pay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .segmentation import Extent, counts_of, extent_of

_NUMBERS = {int, float}
_FAR = 10
"""Vertices this many image sides away are an error: rasterising them would take all memory."""


def segmentation_fault(segmentation: Any, width: int, height: int) -> str | None:
    """Check polygons or run lengths against the size of their image in pixels."""
    if isinstance(segmentation, Mapping):
        return _run_lengths_fault(segmentation, width, height)
    if not isinstance(segmentation, list):
        return mismatch("segmentation", "polygons or run lengths", segmentation)
    if not segmentation:
        return "segmentation: expected at least one polygon, got none"
    outside = 0
    for index, polygon in enumerate(segmentation):
        fault = _polygon_fault(polygon, width, height)
        if fault is not None:
            return f"segmentation[{index}]: {fault}"
        outside += not _touches(extent_of([polygon]), width, height)
    if outside == len(segmentation):
        left, top, right, bottom = extent_of(segmentation)
        return (
            f"segmentation: expected a polygon within the image of {width}x{height} pixels, "
            f"got x {left:g} to {right:g}, y {top:g} to {bottom:g}"
        )
    return None


def _polygon_fault(polygon: Any, width: int, height: int) -> str | None:
    if not isinstance(polygon, list) or not _NUMBERS.issuperset(map(type, polygon)):
        return mismatch("", "a list of numbers x1, y1, x2, y2, ...", polygon)
    if len(polygon) % 2:
        return f"expected x and y of each point, got {len(polygon)} numbers"
    if len(polygon) < 6:
        return f"expected at least 3 points (6 numbers), got {len(polygon)} numbers"
    if not math.isfinite(sum(polygon)):
        return "expected finite numbers, got NaN, infinity or a sum beyond all bounds"
    limit = _FAR * max(width, height)
    if min(polygon) < -limit or max(polygon) > limit:
        far = max(polygon, key=abs)
        return f"expected coordinates in or near the image of {width}x{height}, got {far:g}"
    return None


def _run_lengths_fault(runs: Mapping[str, Any], width: int, height: int) -> str | None:
    size, counts = runs.get("size"), runs.get("counts")
    if size != [height, width]:
        expected = f"[{height}, {width}] (height, width of the image)"
        return mismatch("segmentation.size", expected, size)
    if isinstance(counts, str):
        try:
            decoded = counts_of(counts)
        except ValueError as error:
            return f"segmentation.counts: {error}, got {_brief(counts)}"
        least, total, area = decoded.min(initial=0), decoded.sum(), decoded[1::2].sum()
    elif isinstance(counts, list) and {int}.issuperset(map(type, counts)):
        least, total, area = min(counts, default=0), sum(counts), sum(counts[1::2])
    else:
        return mismatch("segmentation.counts", "a string or a list of whole numbers", counts)
    if least < 0:
        return f"segmentation.counts: expected runs of 0 pixels or more, got {least}"
    if total != width * height:
        return (
            f"segmentation.counts: expected runs that add up to {width * height} pixels "
            f"({width}x{height}), got {total}"
        )
    if not area:
        return "segmentation: expected at least one pixel, got an empty mask"
    return None


def box_fault(box: Any, width: int, height: int) -> str | None:
    """Check a box x, y, width, height against the size of its image in pixels."""
    if not isinstance(box, list) or len(box) != 4 or not _NUMBERS.issuperset(map(type, box)):
        return mismatch("bbox", "4 numbers x, y, width, height", box)
    x, y, w, h = box
    if not math.isfinite(sum(box)):
        return mismatch("bbox", "finite numbers", box)
    if w < 0 or h < 0:
        return f"bbox: expected width and height >= 0, got {w:g} and {h:g}"
    if not _touches((x, y, x + w, y + h), width, height):
        return mismatch("bbox", f"a box within the image of {width}x{height} pixels", box)
    return None


def mismatch(field: str, expected: str, value: Any) -> str:
    """Say what a field should hold and what it holds, shortened."""
    text = f"expected {expected}, got {_brief(value)}"
    return f"{field}: {text}" if field else text


def _touches(extent: Extent, width: int, height: int) -> bool:
    """Whether an extent lies in the image or at its border."""
    left, top, right, bottom = extent
    return right >= 0 and bottom >= 0 and left <= width and top <= height


def _brief(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
