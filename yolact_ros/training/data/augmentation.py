# SPDX-License-Identifier: Apache-2.0
"""The table of random changes to training images, and the strengths of the named sets."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from yolact_ros.errors import InputError

Value = float | bool | tuple[float, float]


def _entry(off: Value, on: Value, low: float, high: float) -> Any:
    """A field that "off" and "on" stand for values of, and the range that others lie in."""
    return field(default=off, metadata={"off": off, "on": on, "range": (low, high)})


def _switch(off: bool = False) -> Any:
    return field(default=off, metadata={"off": False, "on": True, "range": (0, 1)})


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the random changes to a training image, all of them off by default.

    They are applied in this order: zoom-out, IoU crop, window crop, mirror, flip, rotation with
    scale; then the resize to the network's input; then blur and colours, which are cheaper on the
    small image and, being changes of single pixels, nearly the same after the resize as before it;
    then copy-paste.

        >>> replace(augmentation_named("light"), mirror=0.0, rotation=15.0).rotation
        15.0

    Attributes:
        mirror: Probability of exchanging left and right.
        flip: Probability of exchanging top and bottom.
        rotation: Largest angle in degrees, to either side about the centre. Boxes are then taken
            from the masks, whatever `tight_boxes` says.
        scale: Smallest and largest factor of size, about the centre. What comes into view has the
            mean colour.
        zoom_out: Probability of placing the image on a larger canvas of the mean colour. Unless
            it, `rotation` and `scale` are off, images longer than 3 sides of the network's input
            are reduced to that first, which bounds the memory of the canvas.
        largest_zoom_out: Longest side of that canvas, in sides of the image.
        iou_crop: Whether to crop as published: five times of six, a random window that contains
            the centre of an object. Objects whose centre is outside are dropped. Crowds do not take
            part in the choice.
        window_crop: Probability of a crop of roughly the image's aspect ratio, wherever it falls.
        smallest_window: Smallest side of that crop, as a fraction of the image's.
        copy_paste: Probability of pasting objects of another image over this one: each of them
            with a probability of one half (Ghiasi et al., CVPR 2021).
        blur: Largest standard deviation of a Gaussian blur, in pixels of the network's input.
        color_chance: Probability of each of the changes of colour below.
        brightness: Added to all values: ± this, of 255.
        exposure: All values are multiplied by 1 ± this.
        contrast: Differences from mid grey are multiplied by 1 ± this.
        saturation: Multiplied by 1 ± this.
        hue: Turned by ± this, in degrees.
        tint: Each channel is multiplied by 1 ± this.
        clip_colors: Whether colours stay within 0 to 255, as a camera's do.
        min_visible: Drop an object if less than this fraction of its pixels is left of it.
        min_area: Drop an object if a crop leaves fewer pixels than this, counted before the
            resize.
        neutral_cuts: Whether what is left of a dropped object is a neutral region, as a crowd is;
            otherwise it is learnt as background, as published.
        tight_boxes: Whether a box is taken from the remaining pixels of its mask, instead of
            clipping the annotated box to the crop. Clipping is what was published, and keeps boxes
            that an annotator drew around more than the mask. If an object is cut obliquely, the
            clipped box is too large for what is left of it; a network that learns from few images
            then predicts looser boxes, and boxes crop the masks.

    Raises:
        InputError: A strength is out of its range.
    """

    mirror: float = _entry(0.0, 0.5, 0, 1)
    flip: float = _entry(0.0, 0.5, 0, 1)
    rotation: float = _entry(0.0, 180.0, 0, 180)
    scale: tuple[float, float] = _entry((1.0, 1.0), (0.5, 2.0), 0.1, 10)
    zoom_out: float = _entry(0.0, 0.5, 0, 1)
    largest_zoom_out: float = _entry(4.0, 4.0, 1, 16)
    iou_crop: bool = _switch()
    window_crop: float = _entry(0.0, 0.6, 0, 1)
    smallest_window: float = _entry(0.65, 0.65, 0.01, 1)
    copy_paste: float = _entry(0.0, 0.5, 0, 1)
    blur: float = _entry(0.0, 1.0, 0, 5)
    color_chance: float = _entry(1.0, 1.0, 0, 1)
    brightness: float = _entry(0.0, 32.0, 0, 255)
    exposure: float = _entry(0.0, 0.5, 0, 1)
    contrast: float = _entry(0.0, 0.25, 0, 1)
    saturation: float = _entry(0.0, 0.5, 0, 1)
    hue: float = _entry(0.0, 18.0, 0, 180)
    tint: float = _entry(0.0, 0.08, 0, 1)
    clip_colors: bool = _switch(True)
    min_visible: float = _entry(0.0, 0.15, 0, 1)
    min_area: float = _entry(0, 64, 0, 100_000)
    neutral_cuts: bool = _switch()
    tight_boxes: bool = _switch()

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            low, high = entry.metadata["range"]
            values = value if isinstance(value, tuple) else (value, value)
            if not low <= values[0] <= values[1] <= high:
                raise InputError(
                    f"{entry.name}: expected {_expected(entry.name)}, got {_text(value)}"
                )

    @property
    def recolors(self) -> bool:
        """Whether colours are changed at all."""
        return any((self.brightness, self.exposure, self.contrast, self.saturation, self.hue,
                    self.tint))  # fmt: skip


_ON_OR_OFF = "on or off"

ENTRIES = {entry.name: entry for entry in fields(Augmentation)}
"""The table: each entry's default, and as `metadata` its "range", "off" and "on"."""

_NAMED = {
    # YOLACT (Bolya et al. 2019) trains with the augmentation of SSD (Liu et al. 2016, section 3.6),
    # with the strengths of dbolya/yolact at 902073d, utils/augmentations.py: lines 198 (hue), 184
    # (saturation), 242 (exposure, "contrast" there), 257 (brightness), 413 to 417 (zoom-out).
    "published": Augmentation(
        zoom_out=0.5,
        iou_crop=True,
        mirror=0.5,
        color_chance=0.5,
        brightness=32.0,
        exposure=0.5,
        saturation=0.5,
        hue=18.0,
        clip_colors=False,
    ),
    "light": Augmentation(
        window_crop=0.6,
        mirror=0.5,
        contrast=0.25,
        brightness=25.0,
        tint=0.08,
        min_visible=0.15,
        min_area=64,
        neutral_cuts=True,
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


def parse_entry(text: str) -> tuple[str, Value]:
    """Read one entry of the table as people write it.

        >>> parse_entry("mirror=off"), parse_entry("scale=0.5:2")
        (('mirror', 0.0), ('scale', (0.5, 2.0)))

    Args:
        text: NAME=VALUE; the value is a number, LOW:HIGH for a range, "on" or "off".

    Raises:
        InputError: There is no such entry, with the nearest name, or the value is not one for it.
    """
    name, _, written = text.partition("=")
    name = name.strip().replace("-", "_")
    if name not in ENTRIES:
        near = difflib.get_close_matches(name, ENTRIES, 1)
        hint = f"; the nearest is {near[0]}" if near else f": {', '.join(ENTRIES)}"
        raise InputError(
            f"augment: expected NAME=VALUE with an entry of the table, got {text!r}{hint}"
        )
    entry = ENTRIES[name]
    try:
        value = _value(written.strip(), entry.metadata)
        Augmentation(**{name: value})  # type: ignore[arg-type]
    except ValueError:
        expected = _expected(name)
        words = "" if expected == _ON_OR_OFF else f", {_ON_OR_OFF}"
        raise InputError(f"augment: expected as {name} {expected}{words}, got {text!r}") from None
    return name, value


def with_entries(augmentation: Augmentation, entries: Iterable[tuple[str, Value]]) -> Augmentation:
    """Replace entries, each as `parse_entry` returns it; of equal names, the last counts."""
    return replace(augmentation, **dict(entries))  # type: ignore[arg-type]


def _value(written: str, metadata: Any) -> Value:
    if written in ("on", "off"):
        value: Value = metadata[written]
        return value
    if isinstance(metadata["off"], bool):
        raise ValueError(written)
    if isinstance(metadata["off"], tuple):
        low, high = map(float, written.split(":"))
        return low, high
    return float(written)


def _expected(name: str) -> str:
    low, high = ENTRIES[name].metadata["range"]
    off = ENTRIES[name].default
    if isinstance(off, bool):
        return _ON_OR_OFF
    if isinstance(off, tuple):
        return f"LOW:HIGH within {low:g} to {high:g}"
    return f"a value from {low:g} to {high:g}"


def _text(value: Value) -> str:
    return ":".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value)
