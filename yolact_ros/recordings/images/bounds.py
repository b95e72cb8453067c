# SPDX-License-Identifier: Apache-2.0
"""Which images are read at all, decided from their headers before memory is taken."""

from __future__ import annotations

from yolact_ros.errors import InputError

MAX_SIDE = 65535
"""Longest side of an image in pixels, as in JPEG files: what is kept for each column or row is
small then, whatever the shape."""


MAX_PIXELS = 7680 * 4320
"""How many pixels an image may have, unless said otherwise."""


class ImageError(InputError):
    """A frame cannot be used; the text says what was expected and what came.

    Attributes:
        kind: Short name of the fault, the same for every frame that has it.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def check_size(name: str, height: int, width: int, max_pixels: int, frames: int = 1) -> None:
    """Refuse an image without pixels, with too many, with too long a side, or with several frames.

    Raw, compressed and depth images all come through here, when only their headers were read.

    Args:
        name: Of the image, in the error.
        height, width: As the header states them, in pixels.
        max_pixels: Maximum number of pixels; 0: any.
        frames: Pictures in the file.

    Raises:
        ImageError: It is such an image.
    """
    if height == 0 or width == 0:
        raise ImageError(
            "zero size", f"{name}: expected at least 1 x 1 pixels, got {width} x {height}"
        )
    if max(height, width) > MAX_SIDE:
        raise ImageError(
            "too long", f"{name}: expected at most {MAX_SIDE} pixels a side, got {width} x {height}"
        )
    if max_pixels and height * width > max_pixels:
        raise ImageError(
            "too large",
            f"{name}: expected at most {max_pixels} pixels (parameter max_image_pixels), "
            f"got {width} x {height} = {height * width}",
        )
    if frames != 1:
        raise ImageError("frames", f"{name}: expected a single picture, got {frames} in one file")
