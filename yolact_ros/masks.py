# SPDX-License-Identifier: Apache-2.0
"""Decode the masks in `yolact_ros/InstanceArray` messages, in the subscriber's process.

This module needs only NumPy: no torch, no OpenCV, no rclpy. Its C++ counterpart is
`yolact_ros/mask_decoder.hpp`.

    from yolact_ros.masks import full_mask

    def on_instances(message: InstanceArray) -> None:
        for instance in message.instances:
            mask = full_mask(instance.mask, message.image_height, message.image_width)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class MaskMessage(Protocol):
    """Name the fields of `yolact_ros/Mask`; msg/Mask.msg explains them."""

    x_offset: int
    y_offset: int
    width: int
    height: int
    step: int
    data: Any


class InstanceMessage(Protocol):
    """Name the fields of `yolact_ros/Instance` that this module reads."""

    @property
    def mask(self) -> MaskMessage: ...


class InstanceArrayMessage(Protocol):
    """Name the fields of `yolact_ros/InstanceArray` that this module reads."""

    image_height: int
    image_width: int

    @property
    def instances(self) -> Sequence[InstanceMessage]: ...


def unpack_mask(data: Any, width: int, height: int, step: int) -> npt.NDArray[np.bool_]:
    """Decode the bits of one packed mask.

    Args:
        data: height * step bytes: an array of uint8 or anything with the buffer protocol. One bit
            per pixel, most significant bit first, each row padded to a whole number of bytes.
        width: Columns, in pixels.
        height: Rows, in pixels.
        step: Bytes from one row to the next, at least ceil(width / 8).

    Returns:
        (height, width) bool.

    Raises:
        ValueError: A size is negative, `step` is too small for `width`, or `data` does not have
            height * step bytes.
    """
    if width < 0 or height < 0 or step * 8 < width:
        raise ValueError(
            f"mask: expected width, height >= 0 and step >= ceil(width / 8), "
            f"got width {width}, height {height}, step {step}"
        )
    rows = np.frombuffer(data, dtype=np.uint8)
    if rows.size != height * step:
        raise ValueError(
            f"mask: expected height * step = {height} * {step} = {height * step} bytes of data, "
            f"got {rows.size}"
        )
    if width == 0 or height == 0:
        return np.zeros((height, width), dtype=bool)
    return np.unpackbits(rows.reshape(height, step), axis=1, count=width).view(bool)


def decode_mask(mask: MaskMessage) -> npt.NDArray[np.bool_]:
    """Decode the pixels of the mask's own rectangle.

    >>> from types import SimpleNamespace  # in place of a message
    >>> mask = SimpleNamespace(
    ...     x_offset=3, y_offset=1, width=10, height=2, step=2, data=b"\\xff\\xc0\\x80\\x40"
    ... )
    >>> decode_mask(mask).astype(int)
    array([[1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
           [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]])

    Args:
        mask: A `yolact_ros/Mask` message.

    Returns:
        (mask.height, mask.width) bool. Pixel [0, 0] lies at row `mask.y_offset` and column
        `mask.x_offset` of the image, or beyond it: only `full_mask` knows its size.

    Raises:
        ValueError: `step` is too small for `width`, or `data` does not have `height * step` bytes.
    """
    return unpack_mask(mask.data, mask.width, mask.height, mask.step)


def full_mask(mask: MaskMessage, image_height: int, image_width: int) -> npt.NDArray[np.bool_]:
    """Decode the mask at the size of its image.

    >>> from types import SimpleNamespace  # in place of a message
    >>> mask = SimpleNamespace(x_offset=2, y_offset=1, width=3, height=1, step=1, data=b"\\xe0")
    >>> full_mask(mask, image_height=3, image_width=6).astype(int)
    array([[0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 1, 0],
           [0, 0, 0, 0, 0, 0]])

    Args:
        mask: A `yolact_ros/Mask` message.
        image_height: Rows of the image: `InstanceArray.image_height`.
        image_width: Columns of the image: `InstanceArray.image_width`.

    Returns:
        (image_height, image_width) bool, False outside the mask's rectangle.

    Raises:
        ValueError: As `decode_mask`, or the rectangle reaches beyond the image.
    """
    rows, columns = _rectangle(mask, image_height, image_width)
    pixels = decode_mask(mask)
    image = np.zeros((image_height, image_width), dtype=bool)
    image[rows, columns] = pixels
    return image


def instance_map(message: InstanceArrayMessage) -> npt.NDArray[np.uint16]:
    """Paint all masks into one image of numbers, as the node publishes it on `~/instance_map`.

    Args:
        message: A `yolact_ros/InstanceArray` message.

    Returns:
        (image_height, image_width) uint16: 0 for background, k for `message.instances[k - 1]`.
        Where masks overlap, the instance with the better score, which comes first in the message,
        is on top. Instances after the 65535th do not fit and are left out.

    Raises:
        ValueError: As `full_mask`; the message names the instance.
    """
    size = (message.image_height, message.image_width)
    image = np.zeros(size, dtype=np.uint16)
    limit = int(np.iinfo(image.dtype).max)
    for number, instance in reversed(list(enumerate(message.instances[:limit], start=1))):
        try:
            rectangle = _rectangle(instance.mask, *size)
            image[rectangle][decode_mask(instance.mask)] = number
        except ValueError as error:
            raise ValueError(f"instances[{number - 1}]: {error}") from error
    return image


def _rectangle(mask: MaskMessage, image_height: int, image_width: int) -> tuple[slice, slice]:
    right = mask.x_offset + mask.width
    bottom = mask.y_offset + mask.height
    if right > image_width or bottom > image_height:
        raise ValueError(
            f"mask: expected a rectangle within the image of {image_width}x{image_height} pixels, "
            f"got columns {mask.x_offset} to {right} and rows {mask.y_offset} to {bottom}"
        )
    return slice(mask.y_offset, bottom), slice(mask.x_offset, right)
