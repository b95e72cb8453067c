# SPDX-License-Identifier: Apache-2.0
"""Look presets up by name, and derive new ones."""

from __future__ import annotations

import dataclasses
import difflib
import math
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
    """List the names of all presets."""
    return tuple(_PRESETS)


def get_preset(name: str | Preset) -> Preset:
    """Look up a preset by its name; a preset itself is returned as it is.

    >>> preset = get_preset("yolact_resnet50")
    >>> preset.input_size, len(preset.class_names), preset.published.mask_ap
    (550, 80, 28.2)
    >>> get_preset("yolact_bass")
    Traceback (most recent call last):
    yolact_ros.errors.InputError: preset: expected one of ...; did you mean 'yolact_base'?

    Raises:
        InputError: No preset has that name; the message lists all names and the closest one.
    """
    if isinstance(name, Preset):
        return name
    try:
        return _PRESETS[name]
    except KeyError:
        near = difflib.get_close_matches(name, _PRESETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"preset: expected one of {', '.join(_PRESETS)}, got {name!r}{hint}"
        ) from None


def with_classes(preset: Preset, class_names: Sequence[str]) -> Preset:
    """Derive a preset for other classes, such as those a checkpoint was trained on.

    >>> with_classes(get_preset("yolact_base"), ["screw", "nut"]).num_classes  # and background
    3

    Args:
        preset: Everything but the classes is kept; the published figures are dropped if the classes
            change.
        class_names: In the order of the class ids, without background.

    Raises:
        InputError: There are no names, or one is empty or appears twice.
    """
    names = tuple(class_names)
    if names == preset.class_names:
        return preset
    return dataclasses.replace(preset, class_names=names, category_ids=(), published=None)


def with_backbone(preset: Preset, backbone: str) -> Preset:
    """Derive a preset with another feature extractor.

    >>> with_backbone(get_preset("yolact_base"), "torchvision:mobilenet_v3_large").name
    'yolact_base:mobilenet_v3_large'

    Args:
        preset: Everything but the backbone is kept.
        backbone: "torchvision:NAME", where NAME is one of torchvision's classification networks.

    Raises:
        InputError: The text has another form. An unknown NAME is reported when the network is
            built.
    """
    spec = TorchvisionSpec.parse(backbone)
    return dataclasses.replace(
        preset, name=f"{preset.name}:{spec.name}", backbone=spec, published=None
    )


def with_input_size(preset: Preset, input_size: int) -> Preset:
    """Derive a preset for another size of the network's input.

    The sides of the priors follow it, in whole pixels, as the authors' do.

    >>> im400 = with_input_size(get_preset("yolact_base"), 400)
    >>> im400.prior_sizes == get_preset("yolact_im400").prior_sizes
    True

    Args:
        preset: Everything else is kept; the published figures are dropped if the size changes.
        input_size: Side of the square input in pixels.

    Raises:
        InputError: It is so small that a prior would have no size.
    """
    if input_size == preset.input_size:
        return preset
    sizes = tuple(
        tuple(math.floor(size * input_size / preset.input_size) for size in level)
        for level in preset.prior_sizes
    )
    return dataclasses.replace(preset, input_size=input_size, prior_sizes=sizes, published=None)
