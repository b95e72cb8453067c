# SPDX-License-Identifier: Apache-2.0
"""The presets by name."""

from __future__ import annotations

import difflib

from .classes import COCO_CATEGORY_IDS, COCO_CLASSES, DEMO_CLASSES
from .preset import Preset, Published, ResNetSpec

_PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="yolact_base",
            class_names=COCO_CLASSES,
            category_ids=COCO_CATEGORY_IDS,
            backbone=ResNetSpec(block="bottleneck", blocks=(3, 4, 23, 3)),
            published=Published(mask_ap=29.8, fps=33.5),
        ),
        Preset(
            name="yolact_resnet50",
            class_names=COCO_CLASSES,
            category_ids=COCO_CATEGORY_IDS,
            backbone=ResNetSpec(block="bottleneck", blocks=(3, 4, 6, 3)),
            published=Published(mask_ap=28.2, fps=42.5),
        ),
        Preset(
            name="yolact_demo",
            class_names=DEMO_CLASSES,
            backbone=ResNetSpec(block="basic", blocks=(2, 2, 2, 1), width=32),
            input_size=320,
            prior_sizes=((36,), (60,), (96,), (150,), (240,)),
            aspect_ratios=(0.8, 0.5, 1.3),
            square_priors=False,
            fpn_channels=64,
            prototypes=24,
        ),
    )
}


def preset_names() -> tuple[str, ...]:
    """The names of all presets."""
    return tuple(_PRESETS)


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ValueError: There is none; the message lists the names and the nearest one.
    """
    try:
        return _PRESETS[name]
    except KeyError:
        near = difflib.get_close_matches(name, _PRESETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"preset: expected one of {', '.join(_PRESETS)}, got {name!r}{hint}"
        ) from None
