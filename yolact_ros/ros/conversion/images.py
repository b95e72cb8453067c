# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays to image messages."""

from __future__ import annotations

import sys
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image
from std_msgs.msg import Header


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
