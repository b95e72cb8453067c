# SPDX-License-Identifier: Apache-2.0
"""About where instances are, in a fraction of the time that `objects` takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from yolact_ros.space.camera import Camera
from yolact_ros.space.depth import MAX_DEPTH, MIN_DEPTH, at_image_size
from yolact_ros.structures import Instances

_SIDE = 12  # pixels of a mask's rectangle that are looked at, along each side
_MIN_SAMPLES = 5
_MAX_SPREAD = 0.15
"""Metres between the quartiles of the depths from which on none of them is believed."""


def rough_centres(
    instances: Instances, depth: npt.NDArray[np.float32], camera: Camera
) -> npt.NDArray[np.float64]:
    """Tell about where each instance is: the median depth along the ray in the middle of its mask.

    Args:
        instances, depth, camera: See `objects`.

    Returns:
        (N, 3) metres in the camera's frame; NaN where there are few depths, or very different ones.

    Raises:
        InputError: The depth or the camera do not fit the instances.
    """
    camera.expect_image_size(instances.image_size)
    depth = at_image_size(depth, camera.image_size)
    centres = np.full((len(instances), 3), np.nan)
    numbers = [i for i, mask in enumerate(instances.packed_masks) if not mask.empty]
    if not numbers:
        return centres
    masks = [instances.packed_masks[i] for i in numbers]
    starts = np.cumsum([0, *(len(mask.data) for mask in masks[:-1])])
    corners = [(mask.x_offset, mask.y_offset, mask.width, mask.height, mask.step) for mask in masks]
    left, top, width, height, step = np.array(corners).T[:, :, None]
    # the middles of equal parts of each rectangle, (K, _SIDE)
    parts = 2 * np.arange(_SIDE) + 1
    columns, rows = parts * width // (2 * _SIDE), parts * height // (2 * _SIDE)
    at = (starts[:, None] + rows * step)[:, :, None] + (columns // 8)[:, None]
    data = np.concatenate([mask.data for mask in masks])
    inside = (data[at] >> (7 - columns % 8)[:, None] & 1).astype(bool)
    x, y = np.broadcast_arrays((left + columns)[:, None], (top + rows)[:, :, None])
    z = depth[y, x]
    usable = inside & (z >= MIN_DEPTH) & (z <= MAX_DEPTH)
    for i, number in enumerate(numbers):
        here = usable[i]
        if here.sum() < _MIN_SAMPLES:
            continue
        near, middle, far = np.percentile(z[i][here], (25, 50, 75))
        if far - near <= _MAX_SPREAD:
            column, row = (int(np.median(each[i][here])) for each in (x, y))
            rays = [float(each[row, column]) for each in camera.rays]
            centres[number] = middle * np.array([*rays, 1.0])
    return centres
