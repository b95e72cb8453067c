# SPDX-License-Identifier: Apache-2.0
"""Image messages to NumPy arrays and back.

The usual 8-bit encodings become views of the message's own memory, padded rows included. 16-bit
colours keep their high byte. Every other encoding goes through cv_bridge, which is imported when
the first such frame arrives: one that was built for another NumPy breaks nothing else.
"""

from __future__ import annotations

import re
import sys
from array import array
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from yolact_ros.errors import InputError

# encoding: channels, order of the first three
_COLOR = {
    "rgb8": (3, "rgb"),
    "bgr8": (3, "bgr"),
    "8UC3": (3, "bgr"),
    "rgba8": (4, "rgb"),
    "bgra8": (4, "bgr"),
    "8UC4": (4, "bgr"),
}
_MONO = ("mono8", "8UC1")
# OpenCV names a Bayer pattern after its second row and column, ROS after its first.
_BAYER = {
    "bayer_rggb8": cv2.COLOR_BayerBG2BGR,
    "bayer_bggr8": cv2.COLOR_BayerRG2BGR,
    "bayer_gbrg8": cv2.COLOR_BayerGR2BGR,
    "bayer_grbg8": cv2.COLOR_BayerGB2BGR,
}
_YUV422 = {
    "uyvy": cv2.COLOR_YUV2BGR_UYVY,
    "yuv422": cv2.COLOR_YUV2BGR_UYVY,
    "yuyv": cv2.COLOR_YUV2BGR_YUY2,
    "yuv422_yuy2": cv2.COLOR_YUV2BGR_YUY2,
}
_COLOR16 = {
    "mono16": (1, "bgr"),
    "rgb16": (3, "rgb"),
    "bgr16": (3, "bgr"),
    "rgba16": (4, "rgb"),
    "bgra16": (4, "bgr"),
}
_BRIDGED = re.compile(
    r"(8S|16U|16S|32S|32F|64F)C(?P<generic>[1-4])|8UC2|bayer_(rggb|bggr|gbrg|grbg)16|nv21|nv24"
)
_BITS = re.compile(r"(8|16|32|64)[USF]C(\d)")
_KNOWN = (*_COLOR, *_MONO, *_BAYER, *_YUV422, *_COLOR16)


class ImageError(InputError):
    """A frame cannot be used; the text says what was expected and what came.

    Attributes:
        kind: Short name of the fault, the same for every frame that has it.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ImageArray(NamedTuple):
    """Pixels of one image.

    Attributes:
        pixels: (H, W, 3) uint8, possibly a strided view of the message's memory.
        channel_order: "rgb" or "bgr".
    """

    pixels: npt.NDArray[np.uint8]
    channel_order: str


def image_to_array(message: Image, max_pixels: int = 0) -> ImageArray:
    """Read a sensor_msgs/Image.

    Args:
        message: The image; it must stay unchanged while the result is used.
        max_pixels: Maximum number of pixels; 0: unlimited.

    Raises:
        ImageError: The message contradicts itself, is too large or has an encoding that cannot be
            read.
    """
    height, width, encoding = message.height, message.width, message.encoding
    check_size("image", height, width, max_pixels)
    if encoding in _COLOR:
        channels, order = _COLOR[encoding]
        return ImageArray(_rows(message, channels)[..., :3], order)
    if encoding in _MONO:
        return ImageArray(_gray_to_bgr(_rows(message, 1)), "bgr")
    if encoding in _BAYER:
        if height % 2 or width % 2:
            raise ImageError(
                f"odd size, {encoding}",
                f"image: expected an even width and height for {encoding}, got {width} x {height}",
            )
        mosaic = np.ascontiguousarray(_rows(message, 1)[..., 0])
        return ImageArray(_uint8(cv2.cvtColor(mosaic, _BAYER[encoding])), "bgr")
    if encoding in _YUV422:
        if width % 2:
            raise ImageError(
                f"odd size, {encoding}",
                f"image: expected an even width for {encoding}, got {width} x {height}",
            )
        pairs = np.ascontiguousarray(_rows(message, 2))
        return ImageArray(_uint8(cv2.cvtColor(pairs, _YUV422[encoding])), "bgr")
    if encoding in _COLOR16:
        channels, order = _COLOR16[encoding]
        _check_little_endian(message)
        high = _rows(message, 2 * channels)[..., 1::2]
        if channels == 1:
            return ImageArray(_gray_to_bgr(high), order)
        return ImageArray(np.ascontiguousarray(high[..., :3]), order)
    return _through_cv_bridge(message)


def compressed_to_array(message: CompressedImage, max_pixels: int = 0) -> ImageArray:
    """Read a sensor_msgs/CompressedImage: JPEG, PNG or another format that OpenCV decodes.

    Raises:
        ImageError: The data is empty or cannot be decoded, or the image is too large.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)
    if data.size == 0:
        raise ImageError("no data", "image: expected a JPEG or PNG picture, got no data")
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageError(
            "undecodable",
            f"image: expected a JPEG or PNG picture, got {data.size} bytes with format "
            f"'{message.format}' that begin with {data[:4].tobytes().hex(' ')}",
        )
    check_size("image", pixels.shape[0], pixels.shape[1], max_pixels)
    return ImageArray(_uint8(pixels), "bgr")


def array_to_image(pixels: npt.NDArray[Any], encoding: str, header: Header) -> Image:
    """Make a sensor_msgs/Image.

    Args:
        pixels: (H, W) or (H, W, C), of the encoding's dtype, in the machine's byte order.
        encoding: As in sensor_msgs/image_encodings.hpp.
        header: Used as it is.
    """
    height, width = pixels.shape[:2]
    message = Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=int(sys.byteorder == "big"),
        step=width * pixels.itemsize * (pixels.shape[2] if pixels.ndim == 3 else 1),
    )
    append_bytes(message.data, pixels)
    return message


def append_bytes(data: array[int], values: npt.NDArray[Any]) -> None:
    """Append the bytes of an array to a message's `uint8[]`, in one piece.

    Assigning them instead costs a copy in the setter and another in the constructor, or a check of
    every byte if they are not an `array`.
    """
    data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def check_size(name: str, height: int, width: int, max_pixels: int) -> None:
    """Refuse an image without pixels, or with more than a number of them (0: any).

    Args:
        name: Of the image, in the error.

    Raises:
        ImageError: It has none, or too many.
    """
    if height == 0 or width == 0:
        raise ImageError(
            "zero size", f"{name}: expected at least 1 x 1 pixels, got {width} x {height}"
        )
    if max_pixels and height * width > max_pixels:
        raise ImageError(
            "too large",
            f"{name}: expected at most {max_pixels} pixels (parameter max_image_pixels), "
            f"got {width} x {height} = {height * width}",
        )


def _check_little_endian(message: Image) -> None:
    if message.is_bigendian:
        raise ImageError(
            f"big-endian, {message.encoding}",
            f"image: expected little-endian pixels for {message.encoding}, "
            f"got is_bigendian {message.is_bigendian}",
        )


def _rows(message: Image, pixel_bytes: int) -> npt.NDArray[np.uint8]:
    """Return a (height, width, pixel_bytes) uint8 view, after checking step and length."""
    height, width, step = message.height, message.width, message.step
    described = f"{width} x {height} pixels of {message.encoding}"
    if step < width * pixel_bytes:
        raise ImageError(
            "step",
            f"image: expected a step of at least {width * pixel_bytes} bytes for {described}, "
            f"got {step}",
        )
    size = len(message.data)
    if size != step * height:
        raise ImageError(
            "data too short" if size < step * height else "data too long",
            f"image: expected step * height = {step} * {height} = {step * height} bytes of data "
            f"for {described}, got {size}",
        )
    return np.ndarray(
        (height, width, pixel_bytes),
        dtype=np.uint8,
        buffer=message.data,
        strides=(step, pixel_bytes, 1),
    )


def _without_padding(message: Image, rows: npt.NDArray[np.uint8]) -> Image:
    """Return the message without padded rows: some versions of cv_bridge ignore the step."""
    if rows.flags.c_contiguous:
        return message
    tight = Image(
        header=message.header,
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        is_bigendian=message.is_bigendian,
        step=message.width * rows.shape[2],
    )
    append_bytes(tight.data, rows)
    return tight


def _gray_to_bgr(gray: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return _uint8(cv2.cvtColor(np.ascontiguousarray(gray), cv2.COLOR_GRAY2BGR))


def _uint8(pixels: Any) -> npt.NDArray[np.uint8]:
    # OpenCV's type hints allow every number type.
    return np.asarray(pixels, dtype=np.uint8)


def _through_cv_bridge(message: Image) -> ImageArray:
    encoding = message.encoding
    if _BRIDGED.fullmatch(encoding) is None:
        raise ImageError(
            f"unknown encoding {encoding[:32]}",
            f"image: expected an encoding such as {', '.join(_KNOWN)}, got '{encoding[:64]}'",
        )
    bits = _BITS.fullmatch(encoding)
    wide = encoding.endswith("16") or (bits is not None and bits[1] != "8")
    if wide:
        _check_little_endian(message)
    if not encoding.startswith("nv"):  # planar: its rows are not its pixels' rows
        pixel_bytes = int(bits[1]) // 8 * int(bits[2]) if bits else (2 if wide else 1)
        message = _without_padding(message, _rows(message, pixel_bytes))
    try:
        from cv_bridge import CvBridge
    except Exception as error:
        raise ImageError(
            f"no cv_bridge, {encoding}",
            f"image: expected an 8-bit encoding, got {encoding}, which needs cv_bridge, and that "
            f"cannot be imported: {error}",
        ) from error
    try:
        pixels = CvBridge().imgmsg_to_cv2(message, "bgr8")
    except Exception as error:
        raise ImageError(
            f"not converted, {encoding}",
            f"image: expected an encoding that cv_bridge turns into bgr8, got {encoding} "
            f"({type(error).__name__}: {error})",
        ) from error
    if pixels.dtype != np.uint8 or pixels.shape != (message.height, message.width, 3):
        raise ImageError(
            f"not converted, {encoding}",
            f"image: expected {message.height} x {message.width} x 3 uint8 from cv_bridge for "
            f"{encoding}, got {pixels.shape} {pixels.dtype}",
        )
    return ImageArray(pixels, "bgr")
