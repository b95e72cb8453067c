# SPDX-License-Identifier: Apache-2.0
"""Depth images to metres: raw ones, and those of compressed_depth_image_transport.

`depth_of_image` is what is asked first: it checks that a depth image fits the image.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.recordings.images.bounds import ImageError, check_size
from yolact_ros.recordings.images.pictures import PictureError, read_header
from yolact_ros.space import depth_in_metres
from yolact_ros.space.depth import MAX_DEPTH, MIN_DEPTH, at_image_size

_TYPES = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_EXPECTED = "16UC1 (millimetres) or 32FC1 (metres)"

# What compressed_depth_image_transport puts before the picture: a number that says how the depth
# was packed, and the two coefficients of that.
_HEADER = struct.Struct("<iff")

_ALIGN = (
    "let the driver align depth with colour: realsense2_camera align_depth.enable:=true, "
    "orbbec_camera, astra_camera and openni2_camera depth_registration:=true"
)


class UnusableError(InputError):
    """A result cannot be measured.

    Attributes:
        counter: What it is counted as.
        kind: The same for every result with the same fault.
    """

    def __init__(self, counter: str, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.counter = counter
        self.kind = kind


def is_compressed(message: Any) -> bool:
    """Whether it is a sensor_msgs/CompressedImage, not a sensor_msgs/Image."""
    return hasattr(message, "format")


def depth_of_image(
    message: Any, frame_id: str, image_size: tuple[int, int], max_pixels: int = 0
) -> npt.NDArray[np.float32]:
    """Read the depth of each pixel of an image.

    Args:
        message: The depth image, a sensor_msgs/Image or CompressedImage.
        frame_id: The image's.
        image_size: (H, W) of the image.
        max_pixels: Maximum number of pixels; 0: unlimited.

    Returns:
        (H, W) float32 metres.

    Raises:
        UnusableError: It cannot be read, is not registered to the image, or holds no depth.
    """
    if message.header.frame_id != frame_id:
        raise UnusableError(
            "other_frame",
            f"depth: expected the frame_id of the image, '{frame_id}', got "
            f"'{message.header.frame_id}'; {_ALIGN}",
        )
    convert = compressed_depth_to_metres if is_compressed(message) else depth_to_metres
    try:
        depth = convert(message, max_pixels)
    except ImageError as error:
        raise UnusableError("depth_bad", str(error), error.kind) from None
    try:
        depth = at_image_size(depth, image_size)
    except InputError as error:
        raise UnusableError("other_size", f"{error}; {_ALIGN}", f"{depth.shape}") from None
    if not cv2.countNonZero(cv2.inRange(depth, MIN_DEPTH, MAX_DEPTH)):
        if not np.any(depth):
            text = "depth: expected metres, got zeros alone; does the camera see anything?"
            raise UnusableError("depth_zero", text)
        share = float(np.isnan(depth).mean())
        raise UnusableError(
            "depth_nan",
            f"depth: expected {MIN_DEPTH:g} to {MAX_DEPTH:g} m somewhere, got {share:.0%} NaN "
            "and nothing usable; does the camera see anything?",
        )
    return depth


def depth_to_metres(message: Any, max_pixels: int = 0) -> npt.NDArray[np.float32]:
    """Read a depth image.

    Args:
        message: 16UC1 or mono16 in millimetres, or 32FC1 in metres.
        max_pixels: Maximum number of pixels; 0: unlimited.

    Returns:
        (H, W) float32 metres; missing depth as it came: 0, NaN or what else the camera writes.

    Raises:
        ImageError: The message contradicts itself, is too large or has another encoding.
    """
    height, width, step = message.height, message.width, message.step
    check_size("depth", height, width, max_pixels)
    if message.encoding not in _TYPES:
        raise ImageError(
            f"depth encoding {message.encoding[:32]}",
            f"depth: expected {_EXPECTED}, got '{message.encoding[:64]}'",
        )
    order = ">" if message.is_bigendian else "<"
    kind: np.dtype[Any] = np.dtype(order + _TYPES[message.encoding])
    size = len(message.data)
    if step < width * kind.itemsize or size != step * height:
        raise ImageError(
            "depth step",
            f"depth: expected a step of at least {width * kind.itemsize} bytes for {width} pixels "
            f"of {message.encoding} and step * height bytes of data, got a step of {step}, a "
            f"height of {height} and {size} bytes",
        )
    pixels: npt.NDArray[Any] = np.ndarray(
        (height, width), kind, message.data, strides=(step, kind.itemsize)
    )
    return _metres(pixels.astype(kind.newbyteorder("="), copy=False))


def compressed_depth_to_metres(message: Any, max_pixels: int = 0) -> npt.NDArray[np.float32]:
    """Read what compressed_depth_image_transport publishes on `compressedDepth`, as PNG.

    Args:
        message: Its format begins with the encoding: 16UC1, mono16 or 32FC1.
        max_pixels: Maximum number of pixels; 0: unlimited.

    Returns:
        As `depth_to_metres`; NaN where a 32FC1 image has no depth.

    Raises:
        ImageError: The message is no such image, or too large.
    """
    encoding, _, codec = message.format.partition(";")
    if encoding.strip() not in _TYPES or "compressedDepth" not in codec or "rvl" in codec:
        raise ImageError(
            f"depth format {message.format[:32]}",
            "depth: expected the format '16UC1; compressedDepth png' or '32FC1; compressedDepth "
            f"png', got '{message.format[:64]}'; set the driver's parameter for the format of "
            "compressed depth to png, or depth_transport to raw",
        )
    data = bytes(message.data)
    picture = data[_HEADER.size :]
    try:
        header = read_header(picture)
    except PictureError:
        header = None
    if header is None or header.codec != "PNG":
        raise _undecodable(message)
    check_size("depth", header.height, header.width, max_pixels, header.frames)
    try:
        packed = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        packed = None
    if packed is None or packed.ndim != 2 or packed.dtype != np.uint16:
        raise _undecodable(message)
    if encoding.strip() != "32FC1":
        return _metres(packed)
    _, scale, offset = _HEADER.unpack_from(data)
    with np.errstate(all="ignore"):
        depth = np.float32(scale) / (packed.astype(np.float32) - np.float32(offset))
    depth[packed == 0] = np.nan
    return depth


def _metres(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return depth_in_metres(pixels) if pixels.dtype == np.uint16 else pixels


def _undecodable(message: Any) -> ImageError:
    begin = bytes(message.data[:20]).hex(" ")
    return ImageError(
        "depth undecodable",
        f"depth: expected 12 bytes and a PNG picture of 16 bits, got {len(message.data)} bytes "
        f"with format '{message.format[:64]}' that begin with {begin}",
    )
