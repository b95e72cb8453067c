# SPDX-License-Identifier: Apache-2.0
"""CompressedImage messages to NumPy arrays."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.exif import without_orientation
from yolact_ros.recordings.images.bounds import ImageError, check_size
from yolact_ros.recordings.images.encodings import (
    BAYER,
    DEPTH_ENCODINGS,
    ENCODINGS,
    Encoding,
    depth_error,
)
from yolact_ros.recordings.images.pictures import PictureError, PictureHeader, read_header
from yolact_ros.recordings.images.raw import ImageArray, samples_to_array
from yolact_ros.recordings.images.samples import SampleBits

# The pixels as they are stored: camera_info and depth belong to those, whatever EXIF says.
_STORED = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
_MARKER = 2
_LOOK_AHEAD = 8
"""Bytes that a JPEG decoder reads ahead of what it needs."""
_LEFT_OVER = 32
"""Bytes of a JPEG's data that no pixel needs, from which on it is damaged: some cameras pad."""

_AS_IMAGE = "; publish it as sensor_msgs/Image, with image_transport: raw here"
_DECODE = (
    "; decode it with its own transport, such as ffmpeg_image_transport: ros2 run image_transport "
    "republish, and set image_transport: raw here"
)
_AS_DEPTH = "; remap depth to it, with depth_transport: compressedDepth"
_FORMATS = (
    (r"h\.?264|avc1?", "H.264 video", _DECODE),
    (r"h\.?265|hevc", "H.265 video", _DECODE),
    (r"theora|vp8|vp9|av1|mpeg[124]", "video", _DECODE),
    (r"zstd", "data of zstd_image_transport", _AS_IMAGE),
    (r"compresseddepth", "a depth image", _AS_DEPTH),
)
_BEGINNINGS = (
    (b"\0\0\0\1", "H.264 or H.265 video", _DECODE),
    (b"\0\0\1", "H.264 or H.265 video", _DECODE),
    (b"\x80theora", "video", _DECODE),
    (b"GIF8", "a GIF picture", ""),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", ""),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", ""),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture", ""),
    (b"qoif", "a QOI picture", ""),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture", ""),
    (b"\x28\xb5\x2f\xfd", "zstd data", _AS_IMAGE),
)
_COLORS = tuple(f"{order}{bits}" for order in ("rgb", "bgr", "rgba", "bgra") for bits in (8, 16))


def compressed_to_array(
    message: Any, max_pixels: int = 0, sample_bits: SampleBits | None = None
) -> ImageArray:
    """Read a sensor_msgs/CompressedImage: a JPEG, PNG, WebP, TIFF or BMP picture.

    Args:
        message: The image; docs/images.md says how its `format` is read.
        max_pixels: Maximum number of pixels; 0: unlimited.
        sample_bits: The camera's; None: what the samples of this picture need.

    Raises:
        ImageError: The data is no such picture, or one that is cut off, damaged or too large, or
            the format says that it is none in colour or grey.
    """
    data = bytes(message.data)
    if not data:
        raise ImageError("no data", "image: expected a JPEG or PNG picture, got no data")
    original, separator, codec = message.format.strip().lower().partition(";")
    for name in DEPTH_ENCODINGS:
        if separator and original.strip() == name.lower() and "compresseddepth" not in codec:
            raise depth_error(name)
    inside = _inside(original.strip(), separator + codec)
    try:
        header = read_header(data)
        if header is None:
            raise _unreadable(message, data)
        check_size("image", header.height, header.width, max_pixels, header.frames)
        inside.check_even(original, header.height, header.width)
        pixels = _decoded(data, header, gray=inside.kind == BAYER)
    except PictureError as error:
        raise ImageError(
            "damaged",
            f"image: expected a whole JPEG or PNG picture, got {len(data)} bytes with format "
            f"{message.format[:64]!r}: {error}",
        ) from None
    return samples_to_array(pixels, inside, sample_bits or SampleBits())


def _inside(original: str, codec: str) -> Encoding:
    """What a picture holds, by the two parts of the format, of which the second begins with ";".

    As the subscriber of compressed_image_transport has it: a colour encoding before ";", and no
    "compressed bgr" after it, says that colours are RGB. A mosaic is compressed as it is, unless
    the second part names what it was turned into.
    """
    if original in _COLORS and codec and "compressed bgr" not in codec:
        return ENCODINGS["rgb8"]
    encoding = ENCODINGS.get(original, ENCODINGS["bgr8"])
    if encoding.kind == BAYER and codec and not re.search("mono|bgr|rgb", codec):
        return encoding
    return ENCODINGS["bgr8"]


def _decoded(data: bytes, header: PictureHeader, gray: bool) -> npt.NDArray[Any]:
    """Return (H, W, C) uint8, uint16 or float32."""
    file = data[: header.end]
    if header.codec == "TIFF":
        file = without_orientation(file)
    if header.one_scan:
        # Without its last marker, a decoder that wants more data than there is gives up, and does
        # not go on with grey.
        file = file[:-_MARKER] + bytes(_LOOK_AHEAD)
    pixels = _decode(file, _STORED | (cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR))
    if pixels is None:
        raise PictureError("some of its pixels are missing, or it is damaged")
    if pixels.shape[:2] != (header.height, header.width):
        raise PictureError("it holds another number of pixels than it says")
    if header.one_scan and not _is_used_up(data[: header.end - _MARKER]):
        raise PictureError("some of its data belongs to no pixel")
    return pixels.reshape(header.height, header.width, -1)


def _is_used_up(data: bytes) -> bool:
    """Whether a JPEG needs the end of its data: damaged data is read as other, shorter data."""
    needed = data.rstrip(b"\0\xff")[:-_LEFT_OVER]
    return _decode(needed, _STORED | cv2.IMREAD_REDUCED_GRAYSCALE_8) is None


def _decode(data: bytes, flags: int) -> npt.NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def _unreadable(message: Any, data: bytes) -> ImageError:
    """Return what is said of data that is no picture of a kind that is read."""
    layout = message.format.strip()
    what, remedy = "", ""
    if layout.lower() in (name.lower() for name in ENCODINGS):
        what, remedy = f"raw pixels of {layout}", _AS_IMAGE
    for pattern, name, advice in _FORMATS:
        if re.search(rf"\b(?:{pattern})\b", layout.lower()):
            what, remedy = name, advice
    for beginning, name, advice in _BEGINNINGS:
        if not what and data.startswith(beginning):
            what, remedy = name, advice
    return ImageError(
        f"no picture, {layout[:32]}",
        f"image: expected a JPEG or PNG picture, got {what + ', ' if what else ''}{len(data)} "
        f"bytes with format {message.format[:64]!r} that begin with {data[:4].hex(' ')}{remedy}",
    )
