# SPDX-License-Identifier: Apache-2.0
"""Depth images: millimetres to metres, and to the size of the colour image."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError

MIN_DEPTH = 0.01
MAX_DEPTH = 200.0
"""Depths in metres that are believed; everything else, NaN and 0 too, counts as missing."""


def depth_in_metres(depth: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Turn a depth image in millimetres (ROS: 16UC1, 0: missing) into metres.

    Args:
        depth: (H, W) uint16.

    Returns:
        (H, W) float32.

    Raises:
        InputError: The image has another type or shape.
    """
    if not isinstance(depth, np.ndarray) or depth.ndim != 2 or depth.dtype != np.uint16:
        raise InputError(f"depth: expected (H, W) uint16 millimetres, got {_description(depth)}")
    return np.multiply(depth, np.float32(0.001), dtype=np.float32)


def at_image_size(
    depth: npt.NDArray[np.float32], image_size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Bring a registered depth image to the size of the colour image.

    The nearest pixel is taken, never a mean: a mean of two surfaces lies on neither.

    Args:
        depth: (h, w) float32 metres, along the optical axis of the colour camera.
        image_size: (H, W) of the colour image: h and w themselves, or both of them multiplied or
            divided by the same integer.

    Returns:
        (H, W) float32; `depth` itself or a view of it where that is enough.

    Raises:
        InputError: The depth image has another type, or its size does not fit.
    """
    if not isinstance(depth, np.ndarray) or depth.ndim != 2 or depth.dtype != np.float32:
        raise InputError(
            f"depth: expected (H, W) float32 metres, got {_description(depth)}; "
            "depth_in_metres() turns uint16 millimetres into metres"
        )
    height, width = image_size
    if depth.shape == (height, width):
        return depth
    rows, columns = depth.shape
    if rows and columns:
        if height % rows == 0 and width == columns * (height // rows):
            return cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
        if height and rows % height == 0 and columns == width * (rows // height):
            factor = rows // height
            return depth[factor // 2 :: factor, factor // 2 :: factor]
    raise InputError(
        f"depth: expected {width}x{height} pixels as the image has, or both sides multiplied or "
        f"divided by one integer, got {columns}x{rows}; register the depth to the colour camera"
    )


def _description(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    return type(value).__name__
