# SPDX-License-Identifier: Apache-2.0
"""One colour per class or track, the same in every run."""

from __future__ import annotations

import colorsys

_GOLDEN_RATIO = 0.618033988749895


def class_color(class_id: int) -> tuple[int, int, int]:
    """Return the RGB colour of a class, each channel 0 to 255.

    Steps of the golden ratio around the hue circle keep neighbours in the class list apart; the
    brightness alternates so that similar hues still differ.
    """
    hue = (0.08 + class_id * _GOLDEN_RATIO) % 1.0
    saturation = (0.85, 0.65)[class_id // 2 % 2]
    value = (1.0, 0.82)[class_id % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def track_color(track_id: int) -> tuple[int, int, int]:
    """Return the RGB colour of a track, each channel 0 to 255; grey for 0, which is none."""
    return class_color(track_id) if track_id else (150, 150, 150)
