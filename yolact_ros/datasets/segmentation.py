# SPDX-License-Identifier: Apache-2.0
"""Outlines of objects in COCO's format: polygons, or run lengths down the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from yolact_ros.errors import InputError

Segmentation = Sequence[Sequence[float] | npt.NDArray[np.float64]] | Mapping[str, Any]
"""Polygons (x1, y1, x2, y2, ... in pixels), or run lengths, background first, compressed or not."""

Extent = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""

_FIRST, _LAST = ord("0"), ord("0") + 63


def decode_segmentation(
    segmentation: Segmentation, height: int, width: int
) -> npt.NDArray[np.uint8]:
    """Rasterise polygons or run lengths as COCO's tools do.

    Polygons are joined: a pixel inside any of them is 1.

    Returns:
        (height, width) uint8 mask of 0 and 1.
    """
    mask: npt.NDArray[np.uint8] = coco_mask.decode(run_lengths_of(segmentation, height, width))
    return mask


def encode_mask(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Encode a mask as compressed run lengths, which JSON can hold.

    Args:
        mask: (H, W) bool.

    Returns:
        ``{"size": [H, W], "counts": str}``.

    Raises:
        InputError: The mask is not two-dimensional.
    """
    if mask.ndim != 2:
        raise InputError(f"mask: expected shape (H, W), got {tuple(mask.shape)}")
    runs = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in runs["size"]], "counts": runs["counts"].decode("ascii")}


def run_lengths_of(segmentation: Segmentation, height: int, width: int) -> dict[str, Any]:
    """Convert to the compressed run lengths that pycocotools takes, polygons joined."""
    if isinstance(segmentation, Mapping):
        runs = dict(segmentation)
        if isinstance(runs["counts"], list):
            runs = coco_mask.frPyObjects(runs, height, width)
        return runs
    polygons = [np.asarray(polygon, float).tolist() for polygon in segmentation]
    joined: dict[str, Any] = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    return joined


def extent_of(segmentation: Segmentation) -> Extent:
    """Return the extent of all polygons, or of compressed run lengths.

    Plain Python, as COCO's own files have a million polygons, most too short for NumPy to pay.
    """
    if isinstance(segmentation, Mapping):
        x, y, width, height = coco_mask.toBbox(segmentation).tolist()
        return x, y, x + width, y + height
    columns = [x for polygon in segmentation for x in polygon[0::2]]
    rows = [y for polygon in segmentation for y in polygon[1::2]]
    return float(min(columns)), float(min(rows)), float(max(columns)), float(max(rows))


def measured(segmentation: Segmentation, height: int, width: int) -> dict[str, Any]:
    """Return an outline, polygons or compressed run lengths, with the fields that describe it.

    Returns:
        ``segmentation``, ``bbox`` (left, top, width, height of its extent in pixels) and ``area``
        (pixels, an integer), as annotations have them.
    """
    x1, y1, x2, y2 = extent_of(segmentation)
    area = int(coco_mask.area(run_lengths_of(segmentation, height, width)))
    return {"segmentation": segmentation, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": area}


def counts_of(compressed: str) -> npt.NDArray[np.int64]:
    """Decode the run lengths in a compressed string, with checks that COCO's tools do not make.

    A run is written in groups of five bits, the least first, with a sixth bit on all groups but the
    last, as two's complement; from the fourth run on it is the difference from the run two before.
    COCO's tools read beyond the end of a broken string.

    Args:
        compressed: The field `counts` of an RLE.

    Returns:
        (N,) run lengths in pixels, background and object in turn. They may be negative if the
        string is broken.

    Raises:
        InputError: It is not such a string.
    """
    try:
        groups = np.frombuffer(compressed.encode("ascii"), np.uint8).astype(np.int64)
    except UnicodeEncodeError:
        raise InputError("expected ASCII characters") from None
    if not len(groups):
        return groups
    if groups.min() < _FIRST or groups.max() > _LAST:
        raise InputError("expected characters from '0' to 'o'")
    groups -= _FIRST
    ends = np.flatnonzero(groups < 32)
    if not len(ends) or ends[-1] != len(groups) - 1:
        raise InputError("expected a string that is not cut off")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:  # 35 bits: more than any image has pixels
        raise InputError("expected runs of fewer than 2^34 pixels")
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    counts = np.add.reduceat((groups & 31) << (5 * place), starts)
    counts -= np.where(groups[ends] & 16, np.int64(1) << (5 * lengths), 0)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts
