# SPDX-License-Identifier: Apache-2.0
"""Strengths of the random changes to training images."""

from __future__ import annotations

from dataclasses import dataclass, fields

from yolact_ros.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the random changes to a training image, all of them off by default.

    They are applied in this order: zoom-out, IoU crop, window crop, mirror; then the resize to the
    network's input; then the colours, which are cheaper on the small image and, being changes of
    single pixels, nearly the same after the resize as before it. (The zoom-out's canvas changes its
    colour with them, unlike in the publication.)

    Attributes:
        zoom_out: Probability of placing the image on a larger canvas of the mean colour. Unless it
            is 0, images longer than 3 sides of the network's input are reduced to that first, which
            bounds the memory of the canvas.
        largest_zoom_out: Longest side of that canvas, in sides of the image; at least 1.
        iou_crop: Whether to crop as SSD does: a random window that contains the centre of an
            object and overlaps one with at least a random IoU. Objects whose centre is outside are
            dropped. Crowds do not take part in the choice.
        window_crop: Probability of a crop of roughly the image's aspect ratio, wherever it falls.
        smallest_window: Smallest side of that crop, as a fraction of the image's.
        mirror: Probability of exchanging left and right.
        photometric: Probability of each of SSD's changes of brightness, contrast, saturation and
            hue; colour channels are not exchanged.
        contrast: Contrast is multiplied by 1 ± this.
        brightness: Added to all values: ± this, of 255.
        tint: Each channel is multiplied by 1 ± this.
        min_visible: Drop an object if a crop leaves less than this fraction of its pixels.
        min_area: Drop an object if a crop leaves fewer pixels than this, counted before the
            resize.
        tight_boxes: Whether a box is taken from the remaining pixels of its mask, instead of
            clipping the annotated box to the crop. Clipping is what was published, and keeps boxes
            that an annotator drew around more than the mask. If an object is cut obliquely, the
            clipped box is too large for what is left of it; a network that learns from few images
            then predicts looser boxes, and boxes crop the masks.

    Raises:
        InputError: A strength is out of its range.
    """

    zoom_out: float = 0.0
    largest_zoom_out: float = 4.0
    iou_crop: bool = False
    window_crop: float = 0.0
    smallest_window: float = 0.65
    mirror: float = 0.0
    photometric: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    tint: float = 0.0
    min_visible: float = 0.0
    min_area: int = 0
    tight_boxes: bool = False

    def __post_init__(self) -> None:
        ranges = {"largest_zoom_out": (1.0, 16.0), "brightness": (0, 255), "min_area": (0, 1e9)}
        for field in fields(self):
            low, high = ranges.get(field.name, (0, 1))
            value = getattr(self, field.name)
            if not low <= value <= high:
                raise InputError(
                    f"{field.name}: expected a value from {low:g} to {high:g}, got {value}"
                )
        if self.smallest_window == 0:
            raise InputError("smallest_window: expected a value above 0, got 0")


_NAMED = {
    # YOLACT (Bolya et al. 2019) trains with the augmentation of SSD (Liu et al. 2016, section 3.6).
    "published": Augmentation(zoom_out=0.5, iou_crop=True, mirror=0.5, photometric=0.5),
    "light": Augmentation(
        window_crop=0.6,
        mirror=0.5,
        contrast=0.25,
        brightness=25.0,
        tint=0.08,
        min_visible=0.15,
        min_area=64,
        tight_boxes=True,
    ),
    "none": Augmentation(),
}


def augmentation_named(name: str) -> Augmentation:
    """Return the augmentation of this name.

    Args:
        name: "published": that of the paper, for long runs on large data sets. "light": for short
            runs on few images. "none": images as inference sees them.

    Raises:
        InputError: There is none of that name.
    """
    if name not in _NAMED:
        raise InputError(f"augmentation: expected one of {', '.join(_NAMED)}, got {name!r}")
    return _NAMED[name]
