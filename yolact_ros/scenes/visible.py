# SPDX-License-Identifier: Apache-2.0
"""Boxes of visible surfaces: the truth that boxes measured from depth images are held against.

It shares nothing with `yolact_ros.space`, so that a mistake there is not repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PERCENTILES = (2.0, 98.0)
"""Between which the points of a box lie along each of its axes."""


@dataclass(frozen=True, eq=False)
class SurfaceBox:
    """A box in the camera frame, (3,) and (3, 3) float64.

    Attributes:
        center: Its middle in metres.
        rotation: Its axes as columns: from the box's axes to the camera's, right-handed.
        size: Its sides along its own axes in metres.
    """

    center: np.ndarray
    rotation: np.ndarray
    size: np.ndarray


@dataclass(frozen=True, eq=False)
class VisibleSurface:
    """What of an object is seen.

    Attributes:
        points: Number of its visible pixels, a point each.
        aligned: Box along the axes of the camera frame.
        oriented: Box about the up direction. Its third axis points up; its first is the
            horizontal direction in which the points spread the most (PCA), in the sense that
            points to the camera's right. Of a surface as long as it is wide it is arbitrary.
    """

    points: int
    aligned: SurfaceBox
    oriented: SurfaceBox


def visible_surface(points: np.ndarray, up: np.ndarray) -> VisibleSurface:
    """Measure a visible surface.

    Along each axis a box reaches from the 2nd to the 98th percentile of the points.

    Args:
        points: (N, 3) points in the camera frame in metres, at least one.
        up: (3,) unit vector in the camera frame that points up.
    """
    points = points.astype(np.float64)
    level = np.eye(3)[np.argmin(np.abs(up))]  # any direction that is not up
    first = np.cross(up, level)
    first /= np.linalg.norm(first)
    second = np.cross(up, first)
    across = (points - points.mean(axis=0)) @ np.column_stack([first, second])
    _, directions = np.linalg.eigh(across.T @ across)  # the greatest spread comes last
    major = directions[0, -1] * first + directions[1, -1] * second
    if major[0] < 0:
        major = -major
    return VisibleSurface(
        points=len(points),
        aligned=_box(points, np.eye(3)),
        oriented=_box(points, np.column_stack([major, np.cross(up, major), up])),
    )


def _box(points: np.ndarray, rotation: np.ndarray) -> SurfaceBox:
    low, high = np.percentile(points @ rotation, PERCENTILES, axis=0)
    return SurfaceBox(rotation @ (0.5 * (low + high)), rotation, high - low)
