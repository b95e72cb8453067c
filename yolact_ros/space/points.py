# SPDX-License-Identifier: Apache-2.0
"""Points of the depth image with colour, instance and class, as PointCloud2 carries them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.choices import CHANNEL_ORDERS
from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.space.camera import Camera
from yolact_ros.space.depth import MAX_DEPTH, MIN_DEPTH, at_image_size
from yolact_ros.structures import Instances

POINT = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("rgb", "<u4"),
        ("instance", "<u2"),
        ("class_id", "<u2"),
    ]
)
"""One point in 20 bytes: metres in the camera's frame; 0x00RRGGBB; k for the k-th instance, counted
from 1, 0 for none; its class id, `NO_CLASS` for none and for ids that do not fit."""

NO_CLASS = 65535


def organised_points(
    instances: Instances,
    depth: npt.NDArray[np.float32],
    camera: Camera,
    image: npt.NDArray[np.uint8] | None = None,
    channel_order: str = "rgb",
) -> npt.NDArray[np.void]:
    """Return a point for each pixel.

    Args:
        instances: Instances of the image; where masks overlap, the better score wins.
        depth: See `objects`.
        camera: The camera of the image.
        image: (H, W, 3) uint8; None: black.
        channel_order: "rgb" or "bgr".

    Returns:
        (H, W) of `POINT`; x, y and z are NaN where there is no usable depth.

    Raises:
        InputError: The depth, the camera or the image do not fit the instances.
    """
    depth = _checked(instances, depth, camera)
    labels = _labels(instances)
    # NaN fails both comparisons, too.
    believed = cv2.inRange(depth, MIN_DEPTH, MAX_DEPTH)
    z = np.full(depth.shape, np.nan, np.float32)
    cv2.copyTo(np.ascontiguousarray(depth), believed, z)
    x, y = (cv2.multiply(rays, z) for rays in camera.rays)
    channels = [x, y, z, _colours(image, channel_order, camera.image_size), labels]
    merged = cv2.merge([channel.view(np.float32) for channel in channels])
    return merged.view(POINT)[..., 0]


def sparse_points(
    instances: Instances,
    depth: npt.NDArray[np.float32],
    camera: Camera,
    image: npt.NDArray[np.uint8] | None = None,
    channel_order: str = "rgb",
) -> npt.NDArray[np.void]:
    """Return the points of the instances alone, row by row of the image.

    Args:
        instances, depth, camera, image, channel_order: See `organised_points`.

    Returns:
        (K,) of `POINT`, each with finite x, y and z.

    Raises:
        InputError: The depth, the camera or the image do not fit the instances.
    """
    depth = _checked(instances, depth, camera)
    labels = _labels(instances)
    wanted = cv2.inRange(depth, MIN_DEPTH, MAX_DEPTH).view(bool)
    wanted &= labels != _BACKGROUND
    if any(camera.distortion):
        wanted &= np.isfinite(camera.rays[0])
    at = np.flatnonzero(wanted)
    if not len(at):
        return np.zeros(0, POINT)
    z = depth.reshape(-1).take(at)
    x, y = (rays.reshape(-1).take(at) * z for rays in camera.rays)
    colours = _colours(image, channel_order, camera.image_size).reshape(-1).take(at)
    channels = [x, y, z, colours, labels.reshape(-1).take(at)]
    merged = cv2.merge([channel.view(np.float32).reshape(1, -1) for channel in channels])
    return merged.reshape(-1, len(channels)).view(POINT)[:, 0]


_BACKGROUND = np.uint32(NO_CLASS << 16)


def _checked(
    instances: Instances, depth: npt.NDArray[np.float32], camera: Camera
) -> npt.NDArray[np.float32]:
    camera.expect_image_size(instances.image_size)
    return at_image_size(depth, camera.image_size)


def _labels(instances: Instances) -> npt.NDArray[np.uint32]:
    """The last four bytes of each pixel's point: instance and class."""
    canvas = np.full(instances.image_size, _BACKGROUND, np.uint32).view(np.int32)
    # From the worst to the best score, so that the better one ends on top.
    for number in range(len(instances), 0, -1):
        mask = instances.packed_masks[number - 1]
        if mask.empty or number > np.iinfo(np.uint16).max:
            continue
        class_id = int(instances.class_ids[number - 1])
        known = class_id if 0 <= class_id < NO_CLASS else NO_CLASS
        value = np.array(known << 16 | number, np.uint32).view(np.int32)
        source = np.full((mask.height, mask.width), value)
        cv2.copyTo(source, mask.to_array().view(np.uint8), canvas[mask.rectangle])
    return canvas.view(np.uint32)


def _colours(
    image: npt.NDArray[np.uint8] | None, channel_order: str, size: tuple[int, int]
) -> npt.NDArray[np.uint32]:
    """0x00RRGGBB of each pixel, (H, W)."""
    expect_one_of("channel_order", channel_order, CHANNEL_ORDERS)
    if image is None:
        return np.zeros(size, np.uint32)
    if not isinstance(image, np.ndarray) or image.shape != (*size, 3) or image.dtype != np.uint8:
        got = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image)
        raise InputError(f"image: expected shape {(*size, 3)} of uint8, got {got}")
    code = cv2.COLOR_RGB2BGRA if channel_order == "rgb" else cv2.COLOR_BGR2BGRA
    colours = cv2.cvtColor(image, code).view(np.uint32)[..., 0]
    colours &= np.uint32(0x00FFFFFF)
    return colours
