# SPDX-License-Identifier: Apache-2.0
"""The presets by name."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence

from yolact_ros.errors import InputError

from .classes import DEMO_CLASSES
from .preset import Preset, ResNetSpec, TorchvisionSpec
from .published import PUBLISHED_PRESETS

_DEMO = Preset(
    name="yolact_demo",
    class_names=DEMO_CLASSES,
    backbone=ResNetSpec(block="basic", blocks=(2, 2, 2, 1), width=32),
    input_size=320,
    prior_sizes=((36,), (60,), (96,), (150,), (240,)),
    aspect_ratios=(0.8, 0.5, 1.3),
    square_priors=False,
    fpn_channels=64,
    prototypes=24,
)
_PRESETS = {preset.name: preset for preset in (*PUBLISHED_PRESETS, _DEMO)}


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
        raise InputError(
            f"preset: expected one of {', '.join(_PRESETS)}, got {name!r}{hint}"
        ) from None


def with_classes(preset: Preset, class_names: Sequence[str]) -> Preset:
    """The preset for one's own classes, as for a checkpoint that was trained on them.

    Args:
        preset: Everything but the classes is kept; the authors' figures go where they change.
        class_names: Without background, in the order of the class ids.

    Raises:
        ValueError: There is no name, an empty one, or one twice.
    """
    names = tuple(class_names)
    if names == preset.class_names:
        return preset
    return dataclasses.replace(preset, class_names=names, category_ids=(), published=None)


def with_backbone(preset: Preset, backbone: str) -> Preset:
    """The preset on another feature extractor.

    Args:
        preset: Everything but the backbone is kept.
        backbone: "torchvision:NAME" with the name of one of torchvision's classification networks.

    Raises:
        ValueError: It is something else; an unknown NAME shows when the network is built.
    """
    spec = TorchvisionSpec.parse(backbone)
    return dataclasses.replace(
        preset, name=f"{preset.name}:{spec.name}", backbone=spec, published=None
    )
