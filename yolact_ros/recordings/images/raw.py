# SPDX-License-Identifier: Apache-2.0
"""Image messages to NumPy arrays.

The usual 8-bit encodings become views of the message's own memory, padded rows included; so do
16-bit colours whose samples use all their bits. `encodings.py` says how each encoding is read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.samples import float_to_uint8
from yolact_ros.recordings.images.bounds import ImageError, check_size
from yolact_ros.recordings.images.encodings import (
    BAYER,
    COLOR,
    GRAY,
    YUV422,
    YUV_PLANAR,
    Encoding,
    encoding_named,
)
from yolact_ros.recordings.images.samples import SampleBits


class ImageArray(NamedTuple):
    """Pixels of one image.

    Attributes:
        pixels: (H, W, 3) uint8, possibly a strided view of the message's memory.
        channel_order: "rgb" or "bgr".
    """

    pixels: npt.NDArray[np.uint8]
    channel_order: str

    def as_bgr(self) -> npt.NDArray[np.uint8]:
        """Return (H, W, 3) uint8 BGR; `pixels` itself if they are."""
        if self.channel_order == "rgb":
            return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR), dtype=np.uint8)
        return self.pixels


def image_to_array(
    message: Any, max_pixels: int = 0, sample_bits: SampleBits | None = None
) -> ImageArray:
    """Read a sensor_msgs/Image.

    Args:
        message: The image; it must stay unchanged while the result is used.
        max_pixels: Maximum number of pixels; 0: unlimited.
        sample_bits: The camera's; None: what the samples of this image need.

    Raises:
        ImageError: The message contradicts itself, is too large or has an encoding that cannot be
            read.
    """
    width, name = message.width, message.encoding
    check_size("image", message.height, width, 0)
    encoding = encoding_named(name)
    height, step = _height_and_step(message, encoding)
    check_size("image", height, width, max_pixels)
    encoding.check_even(name, height, width)
    if encoding.planes != 1:
        return ImageArray(_yuv_planes(message, encoding, height, step), "bgr")
    samples = _samples(message, encoding)
    return samples_to_array(samples, encoding, sample_bits or SampleBits())


def samples_to_array(
    samples: npt.NDArray[Any], encoding: Encoding, sample_bits: SampleBits
) -> ImageArray:
    """Read an image whose planes are one.

    Args:
        samples: (H, W, C) uint8, uint16, float32 or float64, of either byte order.
        encoding: What they are.
        sample_bits: The camera's.
    """
    if encoding.kind == COLOR:
        samples = samples[..., :3]
    elif encoding.kind != YUV422:
        samples = samples[..., :1]
    if samples.dtype.kind == "f":
        samples = float_to_uint8(samples)
    elif samples.dtype.itemsize == 2:
        samples = sample_bits.to_uint8(samples)
    if encoding.kind == COLOR:
        return ImageArray(samples, encoding.order)
    if encoding.kind in (BAYER, GRAY):
        samples = samples[..., 0]
    code = cv2.COLOR_GRAY2BGR if encoding.kind == GRAY else encoding.code
    return ImageArray(_bgr(samples, code), "bgr")


def _bgr(samples: npt.NDArray[np.uint8], code: int) -> npt.NDArray[np.uint8]:
    # OpenCV's type hints allow every number type.
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(samples), code), dtype=np.uint8)


def _height_and_step(message: Any, encoding: Encoding) -> tuple[int, int]:
    """Rows of pixels, and bytes from one row of the first plane to the next.

    Drivers state the height of images with several planes in pixels or in rows of data, and their
    step with or without the chroma: the number of bytes tells.
    """
    height, width, step, size = message.height, message.width, message.step, len(message.data)
    planes = encoding.planes
    if planes == 1:
        return height, step
    for given in (step, width):
        if given >= width and given % 2 == 0 and size == given * height * planes:
            return height, given
    rows = height / planes
    if step >= width and step % 2 == 0 and size == step * height and rows.denominator == 1:
        return int(rows), step
    raise ImageError(
        "planes",
        f"image: expected step * height * {planes} = {step} * {height} * {planes} bytes of data "
        f"for {width} x {height} pixels of {message.encoding}, or step * height with the rows of "
        f"all planes counted, and an even step of at least {width}, got {size}",
    )


def _samples(message: Any, encoding: Encoding) -> npt.NDArray[Any]:
    """Return a (height, width, channels) view, after checking step and length."""
    height, width, step = message.height, message.width, message.step
    described = f"{width} x {height} pixels of {message.encoding}"
    if step < width * encoding.pixel_bytes:
        raise ImageError(
            "step",
            f"image: expected a step of at least {width * encoding.pixel_bytes} bytes for "
            f"{described}, got {step}",
        )
    size = len(message.data)
    if size != step * height:
        raise ImageError(
            "data too short" if size < step * height else "data too long",
            f"image: expected step * height = {step} * {height} = {step * height} bytes of data "
            f"for {described}, got {size}",
        )
    kind = np.dtype((">" if message.is_bigendian else "<") + encoding.sample)
    return np.ndarray(
        (height, width, encoding.channels),
        dtype=kind,
        buffer=message.data,
        strides=(step, encoding.pixel_bytes, kind.itemsize),
    )


def _yuv_planes(message: Any, encoding: Encoding, height: int, step: int) -> npt.NDArray[np.uint8]:
    width = message.width
    data = np.frombuffer(message.data, np.uint8)
    luma = data[: step * height].reshape(height, step)[:, :width]
    chroma = data[step * height :]
    if encoding.kind == YUV_PLANAR:
        # two planes of half the rows and columns, with half the step
        planes = chroma.reshape(height, step // 2)[:, : width // 2]
        return _bgr(np.vstack([luma, planes.reshape(height // 2, width)]), encoding.code)
    if encoding.planes == 2:
        pairs = chroma.reshape(height, step)[:, :width]
    elif encoding.planes == 3:
        whole = chroma.reshape(height, 2 * step)[:, : 2 * width]
        pairs = whole.reshape(height, width // 2, 4)[..., :2].reshape(height, width)
    else:
        pairs = chroma.reshape(height // 2, step)[:, :width]
        return _bgr(np.vstack([luma, pairs]), encoding.code)
    return _bgr(np.dstack([luma, pairs]), encoding.code)
