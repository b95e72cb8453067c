# SPDX-License-Identifier: Apache-2.0
"""How far off a box may be.

The error of a centre comes less from the depth's noise, of which hundreds of points leave little,
than from the mask: pixels that it has missed or that it has taken from something else. Both show:
samples in the mask that are doubtful, and samples beside it that would go on from the surface. The
variance along an axis is a sum of such terms. Their weights were fitted to the errors on rendered
scenes (seeds 10,000 to 10,159), with the true masks and the network's, with no depth missing and
with 30 % of it, in small and in large blobs: by Gaussian maximum likelihood, but for `MISSING` and
`CUT`, which make 90 % and more of the true centres lie in the ellipsoids of 95 % where much is
missing or masks are wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yolact_ros.space.boxes import extents
from yolact_ros.space.samples import Samples
from yolact_ros.space.surface import Surface

PIXELS = 0.22
"""Standard deviation of a perfect mask's centre, in pixels."""

MISSING = 0.12
"""Standard deviation in lengths where all depth is missing, times the square of the share that is.

Small holes are filled well from what is around them, and those as large as the object are not.
"""

DOUBTFUL = 0.53
"""Standard deviation, as a share of how far the doubtful samples would move the box's ends."""

BESIDE = 0.50
"""The same for the samples beside the mask that fit the surface."""

CUT = 0.8
"""Standard deviation in lengths where all that is beside the mask fits the surface.

It is larger than what is most likely, as masks that take in a part of what touches the object, or
leave out a part of it, are rare and far off.
"""

FLOOR = 5.3e-4  # metres

UNKNOWN_ANGLE = math.pi**2 / 12
"""Variance of an angle that is not known: boxes repeat after half a turn, which is uniform."""

TILT = math.radians(1) ** 2
"""Variance of an upright box's tilt: that of the direction that was given as up."""

YAW = 1.6
"""Standard deviation of the yaw, as a share of the angle that the centre's own error would make."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes along given axes.

    Attributes:
        middles: (N, 3) metres along the axes.
        sizes: (N, 3) metres.
        variances: (N, 3) of `middles`, in square metres.
    """

    middles: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.float64]
    variances: npt.NDArray[np.float64]


def fit_boxes(
    coordinates: npt.NDArray[np.float32], samples: Samples, surface: Surface, focal: float
) -> Boxes:
    """Put boxes around the surfaces, and say how sure their centres are.

    Args:
        coordinates: (N, 3, P) metres along each object's axes.
        samples: N masks, each with at least one kept sample.
        surface: What belongs to the objects.
        focal: Focal length in pixels.
    """
    ends = extents(coordinates, surface.kept)
    outside = np.maximum(samples.outside.sum(axis=1), 1)
    cut = surface.beside.sum(axis=1) / outside
    depth = (samples.points[:, 2] * surface.kept).sum(axis=1) / surface.kept.sum(axis=1)
    common = (
        (PIXELS * depth / focal) ** 2
        + (MISSING * samples.lengths * (1 - samples.coverages) ** 2) ** 2
        + (CUT * samples.lengths * cut**2.5) ** 2
    )
    doubtful = _moved(coordinates, surface.kept, surface.doubtful, ends)
    beside = _moved(coordinates, surface.kept, surface.beside, ends)
    variances = common[:, None] + (DOUBTFUL * doubtful) ** 2 + (BESIDE * beside) ** 2 + FLOOR**2
    return Boxes(ends.mean(axis=0), ends[1] - ends[0], variances)


def _moved(
    coordinates: npt.NDArray[np.float32],
    kept: npt.NDArray[np.bool_],
    others: npt.NDArray[np.bool_],
    ends: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """How far a box's ends move on average if other samples were decided the other way: (N, 3)."""
    moved = np.zeros(ends.shape[1:])
    some = np.flatnonzero(others.any(axis=1))
    changed = extents(coordinates[some], (kept ^ others)[some])
    moved[some] = np.abs(changed - ends[:, some]).mean(axis=0)
    return moved


def yaw_variances(boxes: Boxes, elongated: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Variances (N,) of upright boxes' direction in square radians, `UNKNOWN_ANGLE` at most.

    An error d of where points lie turns the principal axis by about d a / (a^2 - b^2), where a and
    b are the horizontal edges: first-order perturbation of the scatter's eigenvectors.
    """
    longer, shorter = boxes.sizes[:, 0], boxes.sizes[:, 1]
    error = np.sqrt(boxes.variances[:, :2].max(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        variances = (YAW * error * longer / (longer**2 - shorter**2)) ** 2
    known = elongated & (variances < UNKNOWN_ANGLE)
    return np.where(known, variances, UNKNOWN_ANGLE)


def pose_covariances(
    axes: npt.NDArray[np.float64],
    variances: npt.NDArray[np.float64],
    yaw: npt.NDArray[np.float64] | None,
) -> npt.NDArray[np.float64]:
    """Covariances (N, 6, 6) of x, y, z and of the rotations about x, y, z of the camera's frame.

    Args:
        axes: (N, 3, 3), an axis a row; the last one is up if the boxes are upright.
        variances: (N, 3) of the centres along the axes.
        yaw: (N,) variances of the rotation about the last axis; None: nothing is known of the
            orientation.
    """
    turns = np.full((len(axes), 3), UNKNOWN_ANGLE)
    if yaw is not None:
        turns[:, :2], turns[:, 2] = TILT, yaw
    covariances = np.zeros((len(axes), 6, 6))
    covariances[:, :3, :3] = np.einsum("nai,na,naj->nij", axes, variances, axes)
    covariances[:, 3:, 3:] = np.einsum("nai,na,naj->nij", axes, turns, axes)
    return covariances
