# SPDX-License-Identifier: Apache-2.0
"""The camera model: which ray each pixel looks along."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError, expect_one_of

DISTORTION_MODELS = {
    "none": (0,),
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
"""The models, as sensor_msgs/CameraInfo names them, and how many coefficients each may have."""

MAX_SIDE = 1 << 15
"""OpenCV's own limit of many functions: larger images are refused."""

MIN_FOCAL_LENGTH, MAX_FOCAL_LENGTH = 1.0, 1e6  # pixels
MAX_COEFFICIENT = 1e4

# Where undistorting and distorting again ends farther from the pixel than this, the model does not
# hold: polynomials fold back outside of the part of the image that they were calibrated on.
_MAX_ROUND_TRIP = 0.5  # pixels
_ITERATIONS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-10)
_ROWS_AT_ONCE = 64  # bounds the memory of undistorting


@dataclass(frozen=True)
class Camera:
    """Describe a calibrated camera, as sensor_msgs/CameraInfo does.

    Pixel centres have integer coordinates. The camera's frame: x right, y down, z along the optical
    axis, metres. Keep a camera for as long as its calibration holds: its rays are computed once.

    >>> camera = Camera(width=4, height=2, fx=2.0, fy=2.0, cx=1.5, cy=0.5)
    >>> x, y = camera.rays
    >>> x[0].tolist(), y[:, 0].tolist()
    ([-0.75, -0.25, 0.25, 0.75], [-0.25, 0.25])

    Attributes:
        width, height: Size of the images in pixels, 1 to 32768.
        fx, fy: Focal lengths in pixels, 1 to a million.
        cx, cy: The pixel that the optical axis meets, at most a million from 0.
        distortion_model: "none" (an ideal or rectified pinhole camera), "plumb_bob" (Brown and
            Conrady), "rational_polynomial" or "equidistant" (Kannala and Brandt).
        distortion: Coefficients in the order of OpenCV and CameraInfo: none, 4 or 5 (k1 k2 p1 p2
            k3) for "plumb_bob", 8, 12 or 14 for "rational_polynomial", 4 for "equidistant".

    Raises:
        InputError: A value is not finite or out of range, or the number of coefficients is wrong.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = "none"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            side = getattr(self, name)
            if not isinstance(side, int | np.integer) or not 1 <= side <= MAX_SIDE:
                raise InputError(f"camera: expected a {name} of 1 to {MAX_SIDE}, got {side!r}")
        for name in ("fx", "fy"):
            focal = _number(name, getattr(self, name))
            if not MIN_FOCAL_LENGTH <= focal <= MAX_FOCAL_LENGTH:
                raise InputError(
                    f"camera: expected {name} of {MIN_FOCAL_LENGTH:g} to {MAX_FOCAL_LENGTH:g} "
                    f"pixels, got {focal:g}; is the camera calibrated?"
                )
        for name in ("cx", "cy"):
            if not abs(_number(name, getattr(self, name))) <= MAX_FOCAL_LENGTH:
                raise InputError(
                    f"camera: expected {name} of at most {MAX_FOCAL_LENGTH:g} pixels, "
                    f"got {getattr(self, name):g}"
                )
        expect_one_of("distortion_model", self.distortion_model, tuple(DISTORTION_MODELS))
        lengths = DISTORTION_MODELS[self.distortion_model]
        if not isinstance(self.distortion, tuple) or len(self.distortion) not in lengths:
            wanted = " or ".join(str(length) for length in lengths)
            raise InputError(
                f"distortion: expected a tuple of {wanted} coefficients for "
                f"{self.distortion_model}, got {self.distortion!r}"
            )
        for coefficient in self.distortion:
            if not abs(_number("distortion", coefficient)) <= MAX_COEFFICIENT:
                raise InputError(
                    f"distortion: expected coefficients of at most {MAX_COEFFICIENT:g}, "
                    f"got {coefficient:g}"
                )

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    def expect_image_size(self, image_size: tuple[int, int]) -> None:
        """Check that the images of this camera have a (height, width).

        Raises:
            InputError: They have another one.
        """
        height, width = image_size
        if (height, width) != self.image_size:
            raise InputError(
                f"camera: expected the calibration of {width}x{height} pixels as the image has, "
                f"got {self.width}x{self.height}"
            )

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The camera matrix (3, 3)."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    @cached_property
    def rays(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """x / z and y / z along each pixel's ray: two read-only (height, width) float32.

        A point at depth z is (x * z, y * z, z). NaN where the distortion model has no ray.
        """
        x = (np.arange(self.width) - self.cx) / self.fx
        y = (np.arange(self.height) - self.cy) / self.fy
        rays_x = np.empty(self.image_size, np.float32)
        rays_y = np.empty(self.image_size, np.float32)
        if any(self.distortion):
            for top in range(0, self.height, _ROWS_AT_ONCE):
                rows = slice(top, min(top + _ROWS_AT_ONCE, self.height))
                rays_x[rows], rays_y[rows] = self._undistorted(rows)
        else:
            rays_x[:], rays_y[:] = x[None, :], y[:, None]
        rays_x.flags.writeable = rays_y.flags.writeable = False
        return rays_x, rays_y

    def project(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Project points of the camera's frame: (N, 3) metres, z above 0, to (N, 2) pixels."""
        points = np.ascontiguousarray(points, np.float64).reshape(-1, 1, 3)
        zero = np.zeros(3)
        coefficients = np.array(self.distortion, np.float64)
        if self.distortion_model == "equidistant":
            pixels, _ = cv2.fisheye.projectPoints(points, zero, zero, self.matrix, coefficients)
        else:
            pixels, _ = cv2.projectPoints(points, zero, zero, self.matrix, coefficients)
        return pixels.reshape(-1, 2)

    def _undistorted(self, rows: slice) -> tuple[npt.NDArray[np.float64], ...]:
        """The rays of some rows, NaN where the model has none."""
        row, column = np.mgrid[rows, : self.width].astype(np.float64)
        pixels = np.stack([column.ravel(), row.ravel()], axis=-1)[:, None]
        coefficients = np.array(self.distortion, np.float64)
        if self.distortion_model == "equidistant":
            rays = cv2.fisheye.undistortPoints(
                pixels, self.matrix, coefficients, criteria=_ITERATIONS
            )
        else:
            rays = cv2.undistortPointsIter(
                pixels, self.matrix, coefficients, None, None, _ITERATIONS
            )
        rays = rays.reshape(-1, 2)
        with np.errstate(all="ignore"):
            apart = np.abs(self.project(np.pad(rays, ((0, 0), (0, 1)), constant_values=1.0))
                           - pixels[:, 0]).max(axis=1)  # fmt: skip
        rays[~(apart < _MAX_ROUND_TRIP)] = np.nan
        return rays[:, 0].reshape(row.shape), rays[:, 1].reshape(row.shape)


def _number(name: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"camera: expected a finite number for {name}, got {value!r}")
    return number
