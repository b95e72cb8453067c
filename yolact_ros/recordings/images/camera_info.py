# SPDX-License-Identifier: Apache-2.0
"""Calibrations to camera models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.space import Camera


def camera_of(message: Any, rectified: bool = False) -> Camera:
    """Read the model of the camera as its images are: binned and cropped, as image_geometry does.

    Args:
        message: The calibration.
        rectified: Whether the images are rectified: they then follow `p`, and else `k` and `d`.

    Raises:
        InputError: The calibration has no meaning.
    """
    if rectified:
        fx, cx, fy, cy = (float(message.p[i]) for i in (0, 2, 5, 6))
    else:
        fx, cx, fy, cy = (float(message.k[i]) for i in (0, 2, 4, 5))
    column, row = max(message.binning_x, 1), max(message.binning_y, 1)
    roi = message.roi
    width, height, left, top = message.width, message.height, 0, 0
    if roi.width and roi.height:
        width, height, left, top = roi.width, roi.height, roi.x_offset, roi.y_offset
    coefficients = () if rectified else tuple(float(value) for value in message.d)
    # An ideal camera has as many zeros as its driver likes, and any name.
    distorted = any(value != 0 for value in coefficients)
    try:
        return Camera(
            width=width // column,
            height=height // row,
            fx=fx / column,
            fy=fy / row,
            cx=(cx - left) / column,
            cy=(cy - top) / row,
            distortion_model=message.distortion_model if distorted else "none",
            distortion=coefficients if distorted else (),
        )
    except InputError as error:
        raise InputError(f"camera_info: {error}") from None


@dataclass
class Calibration:
    """The newest calibration of a camera, and the model made of it when it was needed last.

    Attributes:
        message: The sensor_msgs/CameraInfo; None: none came yet.
    """

    message: Any = None
    _known: tuple[Any, Camera] | None = None  # one object, as two threads measure

    def camera(self, message: Any, rectified: bool) -> Camera:
        """Return the model, the same for as long as the calibration is.

        Raises:
            InputError: It has no meaning.
        """
        known = self._known
        if known is None or not _equal(message, known[0]):
            self._known = known = (message, camera_of(message, rectified))
        return known[1]


def _equal(one: Any, other: Any) -> bool:
    """Whether two calibrations are the same, whatever their stamps."""
    names = ("height", "width", "distortion_model", "binning_x", "binning_y", "roi")
    return all(getattr(one, name) == getattr(other, name) for name in names) and all(
        list(getattr(one, name)) == list(getattr(other, name)) for name in ("d", "k", "p")
    )
