# SPDX-License-Identifier: Apache-2.0
"""Boxes around the visible surface, along the camera's axes or upright."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LOWER, UPPER = 0.02, 0.98
"""A box reaches from one to the other quantile of its points along each axis."""

MIN_ELONGATION = 1.5
"""Ratio of the horizontal edges from which on a box has a direction."""


def extents(
    coordinates: npt.NDArray[np.float32], chosen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Both quantiles of the chosen coordinates along each axis, interpolated linearly.

    Args:
        coordinates: (N, A, P) along A axes.
        chosen: (N, P), at least one of each row.

    Returns:
        (2, N, A).
    """
    beside = np.empty((*coordinates.shape[:2], 4))  # the values below and above each quantile
    share = np.empty((len(chosen), 2))  # of the way between them
    for i, row in enumerate(chosen):
        values = coordinates[i].take(row.nonzero()[0], axis=1)
        last = values.shape[1] - 1
        low, high = LOWER * last, UPPER * last
        at = [int(low), min(int(low) + 1, last), int(high), min(int(high) + 1, last)]
        values.partition(at, axis=1)
        beside[i] = values.take(at, axis=1)
        share[i] = low - at[0], high - at[2]
    below, above = beside[..., ::2], beside[..., 1::2]
    return np.moveaxis(below + (above - below) * share[:, None], -1, 0)


def upright_axes(
    points: npt.NDArray[np.float32], chosen: npt.NDArray[np.bool_], up: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Axes of upright boxes: the first along the longer horizontal edge, the last one up.

    The direction is that of the largest horizontal variance (principal component analysis), which
    noise turns less than a rectangle of least area. Boxes whose horizontal edges differ by less
    than `MIN_ELONGATION` have none; their first axis is the camera's x axis, made horizontal.

    Args:
        points: (N, 3, P) metres.
        chosen: (N, P), at least one of each row.
        up: (3,) unit vector.

    Returns:
        axes: (N, 3, 3), an axis a row, right-handed.
        elongated: (N,) whether the box has a direction.
    """
    across = np.array([1.0, 0, 0]) if abs(up[0]) < 0.9 else np.array([0, 0, 1.0])
    across -= up * (across @ up)
    across /= np.linalg.norm(across)
    level = np.stack([across, np.cross(up, across)])
    weights = chosen[:, None] / chosen.sum(axis=1)[:, None, None]
    flat = level.astype(np.float32) @ points  # (N, 2, P)
    flat = flat - (flat * weights).sum(axis=2, keepdims=True)
    scatter = np.einsum("nip,njp->nij", flat * weights, flat)
    angle = 0.5 * np.arctan2(2 * scatter[:, 0, 1], scatter[:, 0, 0] - scatter[:, 1, 1])
    turned = _turns(angle)
    low, high = extents((turned @ flat).astype(np.float32), chosen)
    edges = high - low
    elongated = edges[:, 0] >= MIN_ELONGATION * edges[:, 1]
    axes = np.empty((len(points), 3, 3))
    axes[:, :2] = np.where(elongated[:, None, None], turned, np.eye(2)) @ level
    axes[:, 2] = up
    return axes, elongated


def _turns(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N,) radians to (N, 2, 2) with the turned axes as rows."""
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)], axis=1)


def quaternions(axes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turn axes (N, 3, 3), one a row, into quaternions (N, 4) x, y, z, w with w >= 0.

    The quaternion of a rotation is the eigenvector of the largest eigenvalue of a symmetric matrix
    of its elements (Bar-Itzhack 2000), which is exact for every angle.
    """
    r = np.swapaxes(axes, 1, 2)
    k = np.empty((len(r), 4, 4))
    k[:, 0, 0] = r[:, 0, 0] - r[:, 1, 1] - r[:, 2, 2]
    k[:, 1, 1] = r[:, 1, 1] - r[:, 0, 0] - r[:, 2, 2]
    k[:, 2, 2] = r[:, 2, 2] - r[:, 0, 0] - r[:, 1, 1]
    k[:, 3, 3] = r[:, 0, 0] + r[:, 1, 1] + r[:, 2, 2]
    k[:, 0, 1] = k[:, 1, 0] = r[:, 1, 0] + r[:, 0, 1]
    k[:, 0, 2] = k[:, 2, 0] = r[:, 2, 0] + r[:, 0, 2]
    k[:, 1, 2] = k[:, 2, 1] = r[:, 2, 1] + r[:, 1, 2]
    k[:, 0, 3] = k[:, 3, 0] = r[:, 2, 1] - r[:, 1, 2]
    k[:, 1, 3] = k[:, 3, 1] = r[:, 0, 2] - r[:, 2, 0]
    k[:, 2, 3] = k[:, 3, 2] = r[:, 1, 0] - r[:, 0, 1]
    found = np.linalg.eigh(k)[1][:, :, -1]
    return np.where(found[:, 3:] < 0, -found, found)
