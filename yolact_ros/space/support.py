# SPDX-License-Identifier: Apache-2.0
"""The support plane: the one plane in view that most of what surrounds the objects lies on.

Along a ray (x, y, 1), a plane n . P = d is met at depth z with 1 / z = (n . (x, y, 1)) / d: affine
in the ray's x and y. So a plane is three numbers, whatever the lens does, and it needs neither
gravity nor a frame of the robot. Masks bleed onto the table where things stand, without a step in
depth; only the plane tells them apart there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yolact_ros.space.camera import Camera
from yolact_ros.space.depth import MAX_DEPTH, MIN_DEPTH
from yolact_ros.structures import PackedMask

_PROBES = 600
_HYPOTHESES = 50
_TOLERANCE = 0.008  # share of the depth by which an inlier of a hypothesis may be off
_MIN_SHARE = 0.35  # of the probes, without which there is no plane
_MIN_PROBES = 60
_MARGIN = 0.2  # by which probes reach beyond an instance's rectangle, as a share of its sides
_REFINEMENTS = 3
_DEVIATIONS = 3.0  # inliers of the refinement, in standard deviations
_MIN_NOISE = 2e-4
_MAX_NOISE = 0.02


@dataclass(frozen=True, eq=False)
class SupportPlane:
    """A plane in the camera's frame.

    Attributes:
        coefficients: (3,) float64 a, b, c: along the ray (x, y, 1), 1 / z is a x + b y + c.
        noise: Standard deviation of the measured depth about it, as a share of the depth.
    """

    coefficients: npt.NDArray[np.float64]
    noise: float

    @property
    def distance(self) -> float:
        """Distance of the camera from the plane in metres."""
        return 1 / float(np.linalg.norm(self.coefficients))

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """(3,) unit normal, from the plane towards the camera."""
        return -self.coefficients * self.distance

    def heights(
        self,
        x: npt.NDArray[np.float32],
        y: npt.NDArray[np.float32],
        depth: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        """Heights in metres of the points at these depths along these rays, towards the camera."""
        a, b, c = (np.float32(value) for value in self.coefficients)
        return np.float32(self.distance) * (1 - depth * (a * x + b * y + c))


def find_support(
    masks: Sequence[PackedMask],
    crops: Sequence[npt.NDArray[np.uint8]],
    depth: npt.NDArray[np.float32],
    camera: Camera,
) -> SupportPlane | None:
    """Find the plane around the instances, or None where none holds enough of what is there.

    RANSAC (Fischler and Bolles 1981) on probes beside the masks, then least squares on its inliers
    with a noise estimated by the median absolute deviation. The same input gives the same plane.

    Args:
        masks: N masks, none empty: the probes lie around their rectangles, outside of all of them.
        crops: Their pixels within their rectangles, 0 or 1.
        depth: (H, W) float32 metres.
        camera: The camera.
    """
    rows, columns = _probe_pixels(masks, crops, camera.image_size)
    rays_x, rays_y = camera.rays
    x, y, z = rays_x[rows, columns], rays_y[rows, columns], depth[rows, columns]
    known = (z >= MIN_DEPTH) & (z <= MAX_DEPTH) & np.isfinite(x)
    rays = np.column_stack([x, y, np.ones_like(x)])[known].astype(np.float64)
    inverse = 1 / z[known].astype(np.float64)
    if len(rays) < _MIN_PROBES:
        return None
    chosen = np.random.default_rng(0).integers(0, len(rays), (_HYPOTHESES, 3))
    triples = rays[chosen]
    sound = np.abs(np.linalg.det(triples)) > 1e-6
    if not sound.any():
        return None
    planes = np.linalg.solve(triples[sound], inverse[chosen[sound]][..., None])[..., 0]
    votes = (np.abs(rays @ planes.T / inverse[:, None] - 1) < _TOLERANCE).sum(axis=0)
    if votes.max() < _MIN_SHARE * len(rays):
        return None
    return _refined(planes[votes.argmax()], rays, inverse)


def _refined(
    plane: npt.NDArray[np.float64], rays: npt.NDArray[np.float64], inverse: npt.NDArray[np.float64]
) -> SupportPlane | None:
    noise = _TOLERANCE / _DEVIATIONS
    for _ in range(_REFINEMENTS):
        residuals = rays @ plane / inverse - 1
        inliers = np.abs(residuals) < _DEVIATIONS * noise
        if np.count_nonzero(inliers) < max(_MIN_PROBES // 2, _MIN_SHARE / 2 * len(rays)):
            return None
        weighted = rays[inliers] / inverse[inliers, None]
        plane = np.linalg.lstsq(weighted, np.ones(len(weighted)), rcond=None)[0]
        residuals = np.abs(rays @ plane / inverse - 1)
        spread = 1.4826 * np.median(residuals[residuals < _TOLERANCE * _DEVIATIONS])
        noise = float(np.clip(spread, _MIN_NOISE, _MAX_NOISE))
    if not 1e-3 < np.linalg.norm(plane) < 1e3:
        return None
    return SupportPlane(plane, noise)


def _probe_pixels(
    masks: Sequence[PackedMask],
    crops: Sequence[npt.NDArray[np.uint8]],
    image_size: tuple[int, int],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of pixels around the masks."""
    height, width = image_size
    step = max(1, int(np.sqrt(_wide_area(masks) / (3 * _PROBES))))
    near = np.zeros((-(-height // step), -(-width // step)), bool)
    for mask in masks:
        right, bottom = mask.x_offset + mask.width, mask.y_offset + mask.height
        dx, dy = int(_MARGIN * mask.width) + 2, int(_MARGIN * mask.height) + 2
        near[
            max(mask.y_offset - dy, 0) // step : (bottom + dy) // step + 1,
            max(mask.x_offset - dx, 0) // step : (right + dx) // step + 1,
        ] = True
    for mask, crop in zip(masks, crops, strict=True):
        first_row, first_column = -(-mask.y_offset // step), -(-mask.x_offset // step)
        pixels = crop[first_row * step - mask.y_offset :: step,
                      first_column * step - mask.x_offset :: step]  # fmt: skip
        window = near[first_row : first_row + pixels.shape[0],
                      first_column : first_column + pixels.shape[1]]  # fmt: skip
        window &= pixels == 0
    rows, columns = np.nonzero(near)
    every = -(-len(rows) // _PROBES) if len(rows) else 1
    return rows[::every] * step, columns[::every] * step


def _wide_area(masks: Sequence[PackedMask]) -> float:
    return sum((1 + 2 * _MARGIN) ** 2 * mask.width * mask.height for mask in masks)
