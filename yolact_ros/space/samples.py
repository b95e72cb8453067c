# SPDX-License-Identifier: Apache-2.0
"""Samples of the masks and of what is beside them: some hundred an object, in one array for all.

Masks are strided to about as many samples each, so that one step of the grid is 3 to 4 % of the
square root of the mask's area; only small masks are taken as they are. Pixels beside a mask's
border may show what lies behind or before the object. So the mask is eroded by one step to judge
depth: what is left is the core. Every other sample, and those one step beside the mask, know the
core sample nearest to them in the image, which decides whether they belong to the same surface.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.space.camera import Camera
from yolact_ros.space.depth import MAX_DEPTH, MIN_DEPTH
from yolact_ros.space.support import SupportPlane
from yolact_ros.structures import PackedMask

PLANE_MARGIN = 0.001
"""Height in metres above the support plane up to which a sample is low, beside the noise."""

PLANE_DEVIATIONS = 2.5  # of the noise, that are low too
MIN_ABOVE = 0.2
"""Share of a core that must be above the plane; else, the object is flat, or not on the plane."""

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class Samples:
    """Pixels in and beside N masks, at most P of each.

    Attributes:
        points: (N, 3, P) float32 metres in the camera's frame; zeros where there is no sample.
        inside: (N, P) bool: samples in the mask.
        missing: (N, P) bool: pixels in the mask without usable depth; their points are at the depth
            of the core sample nearest to them in the image.
        outside: (N, P) bool: samples beside the mask.
        cells: (N, 2, P) int32 rows and columns of each mask's grid.
        core: (N, P) bool: samples in the mask, away from its border and above the support plane.
        low: (N, P) bool: samples about as high as the support plane, or lower.
        nearest: (N, P) int64: the index of the core sample nearest in the image; itself, if core.
        medians: (N,) median depth of the core in metres, 0 without a core.
        lengths: (N,) the longer side of the mask's rectangle at the core's median depth, metres.
        coverages: (N,) share of the mask's pixels with usable depth, 0 to 1.
    """

    points: npt.NDArray[np.float32]
    inside: npt.NDArray[np.bool_]
    missing: npt.NDArray[np.bool_]
    outside: npt.NDArray[np.bool_]
    cells: npt.NDArray[np.int32]
    core: npt.NDArray[np.bool_]
    low: npt.NDArray[np.bool_]
    nearest: npt.NDArray[np.int64]
    medians: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.float64]
    coverages: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.points)

    def of(self, chosen: npt.NDArray[np.bool_]) -> Samples:
        """The samples of the chosen masks: (N,) bool."""
        return Samples(**{part.name: getattr(self, part.name)[chosen] for part in fields(self)})


class _Grid(NamedTuple):
    """The pixels of one mask's grid, and one step beside the mask.

    Attributes:
        shape: (h, w) of the grid.
        at: (p,) int64 indices into the flat grid, row by row.
        rows, columns: (p,) int64 indices into the grid, the same ones.
        pixels: (p,) int64 indices into the image.
        inside, inner: (p,) bool: in the mask; in the eroded mask.
    """

    shape: tuple[int, int]
    at: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]
    inside: npt.NDArray[np.bool_]
    inner: npt.NDArray[np.bool_]


def take_samples(
    masks: Sequence[PackedMask],
    crops: Sequence[npt.NDArray[np.uint8]],
    depth: npt.NDArray[np.float32],
    camera: Camera,
    support: SupportPlane | None,
    most: int,
) -> Samples:
    """Take samples of each mask.

    Args:
        masks: N masks, none empty.
        crops: Their pixels within their rectangles, 0 or 1.
        depth: (H, W) float32 metres.
        camera: The camera.
        support: The plane that things stand on, if there is one.
        most: How many pixels of a mask are looked at, at most and about.
    """
    grids = [_grid(mask, crop, camera, most) for mask, crop in zip(masks, crops, strict=True)]
    count, size = len(grids), max((len(grid.pixels) for grid in grids), default=0)
    pixels = np.zeros((count, size), np.int64)
    cells = np.zeros((count, 2, size), np.int32)
    there, inside, inner = np.zeros((3, count, size), bool)
    for i, grid in enumerate(grids):
        end = len(grid.pixels)
        pixels[i, :end], there[i, :end] = grid.pixels, True
        cells[i, 0, :end], cells[i, 1, :end] = grid.rows, grid.columns
        inside[i, :end], inner[i, :end] = grid.inside, grid.inner
    sampled = inside.sum(axis=1)

    z = depth.reshape(-1).take(pixels)
    x, y = (rays.reshape(-1).take(pixels) for rays in camera.rays)
    with np.errstate(invalid="ignore"):
        usable = there & (z >= MIN_DEPTH) & (z <= MAX_DEPTH)
    usable &= np.isfinite(x)
    missing = inside & ~usable & np.isfinite(x)
    for values in (x, y, z):
        values[~(usable | missing)] = 0
    z[missing] = 0
    inside &= usable
    low = np.zeros_like(inside)
    core = inner & usable
    core = np.where(core.any(axis=1, keepdims=True), core, inside)
    if support is not None:
        limit = PLANE_MARGIN + PLANE_DEVIATIONS * support.noise * support.distance
        low = support.heights(x, y, z) < limit
        above = (core & ~low).sum(axis=1) > MIN_ABOVE * core.sum(axis=1)
        low &= above[:, None]
        core &= ~low
    nearest = np.zeros_like(pixels)
    for i, grid in enumerate(grids):
        _nearest(grid, core[i], out=nearest[i])
    medians = _medians(z, core)
    sides = np.array([max(mask.width, mask.height) for mask in masks])
    z = np.where(missing, np.take_along_axis(z, nearest, axis=1), z)
    return Samples(
        points=np.stack([x * z, y * z, z], axis=1),
        inside=inside,
        missing=missing,
        outside=usable & ~inside,
        cells=cells,
        core=core,
        low=low,
        nearest=nearest,
        medians=medians,
        lengths=sides * medians / math.sqrt(camera.fx * camera.fy),
        coverages=inside.sum(axis=1) / np.maximum(sampled, 1),
    )


def _grid(mask: PackedMask, crop: npt.NDArray[np.uint8], camera: Camera, most: int) -> _Grid:
    area = cv2.countNonZero(crop)
    stride = max(1, math.ceil(math.sqrt(area / most)))
    # The grid goes through the middle of the mask and on beside it, as far as the image does.
    rows = _positions(mask.y_offset, mask.height, camera.height, stride)
    columns = _positions(mask.x_offset, mask.width, camera.width, stride)
    top, left = int(rows.start < mask.y_offset), int(columns.start < mask.x_offset)
    part = crop[rows[top] - mask.y_offset :: stride, columns[left] - mask.x_offset :: stride]
    whole = np.zeros((len(rows), len(columns)), np.uint8)
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    inner = cv2.erode(whole, _CROSS)  # not from the image's border, beyond which things go on
    if 2 * cv2.countNonZero(inner) < cv2.countNonZero(whole):
        inner = whole
    # Flat indices: NumPy takes by them several times faster than by rows and columns.
    at = np.flatnonzero(cv2.dilate(whole, _SQUARE))
    row, column = np.divmod(at, len(columns))
    return _Grid(
        shape=(len(rows), len(columns)),
        at=at,
        rows=row,
        columns=column,
        pixels=(rows.start * camera.width + columns.start) + stride * (row * camera.width + column),
        inside=whole.view(bool).reshape(-1).take(at),
        inner=inner.view(bool).reshape(-1).take(at),
    )


def _positions(offset: int, length: int, end: int, stride: int) -> range:
    """The rows or columns of a grid through the middle of a mask, and one more on each side."""
    before, after = length // 2, length - 1 - length // 2
    middle = offset + before
    first = middle - before // stride * stride
    last = middle + after // stride * stride
    return range(
        first - stride if first >= stride else first,
        (last + stride if last + stride < end else last) + 1,
        stride,
    )


def _nearest(grid: _Grid, core: npt.NDArray[np.bool_], out: npt.NDArray[np.int64]) -> None:
    """Write the index of the core sample nearest to each sample, if there is a core."""
    own = np.flatnonzero(core)
    if not len(own):
        return
    away = np.ones(grid.shape, np.uint8)
    away.reshape(-1)[grid.at[own]] = 0
    _, labels = cv2.distanceTransformWithLabels(
        away, cv2.DIST_L2, cv2.DIST_MASK_3, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = labels.reshape(-1).take(grid.at)
    index_of = np.zeros(len(own) + 1, np.int64)  # labels count the core's samples from 1
    index_of[labels[own]] = own
    out[: len(labels)] = index_of.take(labels)


def _medians(
    depth: npt.NDArray[np.float32], core: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    medians = np.zeros(len(depth))
    for i, (depths, chosen) in enumerate(zip(depth, core, strict=True)):
        values = depths[chosen]
        if len(values):
            medians[i] = np.partition(values, len(values) // 2)[len(values) // 2]
    return medians
