# SPDX-License-Identifier: Apache-2.0
"""What the network sees of a camera's images: a rectangle, and no pixels that are to be ignored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.recordings.images.bounds import ImageError
from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.ros.parameters.table import Settings
from yolact_ros.structures import Instances, PackedMask

_WHITE = 128
"""Brightness from which on a pixel of a picture is white."""
_MOST_IGNORED = 0.5
"""Share of a mask's pixels; an instance of which more is ignored is not there."""
_PAINT = (124, 117, 104)
"""What the network sees in place of ignored pixels, as RGB: the mean of ImageNet, which says least
to a network that was trained as the published ones."""


@dataclass(frozen=True, eq=False)
class View:
    """An image, and what the network sees of it.

    Attributes:
        image: The image.
        seen: What the network sees.
        corner: Column and row of the image where that begins.
        ignored: (H, W) uint8 of the image, 255 where a pixel counts as nothing; None: nowhere.
    """

    image: ImageArray
    seen: ImageArray
    corner: tuple[int, int] = (0, 0)
    ignored: npt.NDArray[np.uint8] | None = None

    def in_image(self, found: Instances) -> Instances:
        """Bring what was found in `seen` into the whole image, without ignored pixels.

        What lies for more than its half in ignored pixels is left out.
        """
        if self.seen is self.image:
            return found
        x, y = self.corner
        masks = [
            replace(mask, x_offset=mask.x_offset + x, y_offset=mask.y_offset + y)
            for mask in found.packed_masks
        ]
        kept = list(range(len(masks)))
        if self.ignored is not None:
            without = [_without(mask, self.ignored) for mask in masks]
            kept = [
                i
                for i, (mask, left) in enumerate(zip(masks, without, strict=True))
                if left.area >= (1 - _MOST_IGNORED) * mask.area
            ]
            masks = without
        height, width = self.image.pixels.shape[:2]
        moved = replace(
            found,
            image_size=(height, width),
            boxes=found.boxes + np.array([x, y, x, y], np.float32),
            packed_masks=tuple(masks),
        )
        return moved[kept]


@dataclass(frozen=True, eq=False)
class Region:
    """Which part of its images a camera's network sees.

    Attributes:
        roi: x, y, width and height of it in pixels; four zeros: all.
        ignore: (h, w) uint8 picture, 255 where pixels count as nothing; None: nowhere. It may be of
            another size than the images, but must be of their shape.
    """

    roi: tuple[int, ...] = (0, 0, 0, 0)
    ignore: npt.NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, settings: Settings, camera: str) -> Region:
        """Return what the parameters say of a camera.

        Raises:
            InputError: The picture cannot be read.
        """
        name, path = settings.ignore_mask_of(camera)
        return cls(settings.roi_of(camera), _read(name, path) if path else None)

    def view(self, image: ImageArray) -> View:
        """Cut out of an image what the network sees.

        Raises:
            ImageError: The rectangle or the picture do not fit the image.
        """
        height, width = image.pixels.shape[:2]
        x, y, roi_width, roi_height = self.roi
        if not any(self.roi):
            roi_width, roi_height = width, height
        if x + roi_width > width or y + roi_height > height:
            raise ImageError(
                "roi",
                f"roi: expected x, y, width and height within the image's {width}x{height} pixels, "
                f"got {list(self.roi)}",
            )
        ignored = None if self.ignore is None else _fitted(self.ignore, height, width)
        if ignored is None and (roi_width, roi_height) == (width, height):
            return View(image, image)
        inside = np.s_[y : y + roi_height, x : x + roi_width]
        pixels = image.pixels[inside]
        if ignored is not None:
            paint = _PAINT if image.channel_order == "rgb" else _PAINT[::-1]
            painted = np.full(pixels.shape, paint, np.uint8)
            pixels = cv2.copyTo(pixels, cv2.bitwise_not(ignored[inside]), painted)
        return View(image, ImageArray(pixels, image.channel_order), (x, y), ignored)


WHOLE = Region()
"""All of the image."""


def _read(name: str, path: str) -> npt.NDArray[np.uint8]:
    picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise InputError(
            f"{name}: expected a picture, such as a PNG, that is white where pixels count as "
            f"nothing, got {path}, which cannot be read as one"
        )
    return np.where(picture >= _WHITE, np.uint8(255), np.uint8(0))


def _fitted(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """The picture in the image's size."""
    rows, columns = picture.shape
    if (rows, columns) == (height, width):
        return picture
    if abs(rows * width - columns * height) > max(rows, columns, height, width):
        raise ImageError(
            "ignore_mask",
            f"ignore_mask: expected a picture of the image's {width}x{height} pixels, or of that "
            f"shape, got {columns}x{rows}",
        )
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.uint8)


def _without(mask: PackedMask, ignored: npt.NDArray[np.uint8]) -> PackedMask:
    pixels = mask.to_array() & (ignored[mask.rectangle] == 0)
    return PackedMask.from_array(pixels, mask.x_offset, mask.y_offset)
