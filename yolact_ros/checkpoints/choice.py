# SPDX-License-Identifier: Apache-2.0
"""The preset of a weights file: given by the user, by its metadata, or by its tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from yolact_ros.presets import Preset, get_preset, with_classes

from .checkpoint import CheckpointError, preset_of, read_shapes
from .fitting import describe_fits, fitting_presets

# Neither changes what the network computes.
_IRRELEVANT = frozenset({"name", "published"})
_CLASSES = frozenset({"class_names", "category_ids"})


def choose_preset(
    weights: str | Path,
    preset: str | Preset | None = None,
    class_names: Sequence[str] = (),
) -> Preset:
    """Choose the preset to build for a weights file.

    Args:
        weights: A `.pth` or `.safetensors` file.
        preset: A preset or its name; None for the one that the file's metadata describes or, if it
            describes none, the only one that has the file's tensors and as many classes.
        class_names: Names of the file's classes, in the order of the class ids; empty for those of
            the preset. A file of the authors' training code has none: they must be given if it was
            trained on other classes.

    Raises:
        CheckpointError: The metadata describes another preset than the given one, or no preset is
            given or described and the tensors do not fit exactly one.
        InputError: There is no preset of that name.
    """
    described = preset_of(weights)
    if described is not None:
        return agree_on_preset(described, weights, preset, class_names)
    chosen = _only_fit(weights, len(class_names)) if preset is None else get_preset(preset)
    return with_classes(chosen, class_names) if class_names else chosen


def agree_on_preset(
    described: Preset,
    weights: str | Path,
    preset: str | Preset | None = None,
    class_names: Sequence[str] = (),
) -> Preset:
    """Choose the preset to build for a file that describes its own.

    Args:
        described: The preset that the file describes.
        weights: The file.
        preset: As in `choose_preset`.
        class_names: As in `choose_preset`.
    """
    chosen = described if preset is None else get_preset(preset)
    ignored = _IRRELEVANT | _CLASSES if class_names else _IRRELEVANT
    differing = [
        f.name
        for f in dataclasses.fields(Preset)
        if f.name not in ignored and getattr(chosen, f.name) != getattr(described, f.name)
    ]
    if differing:
        raise CheckpointError(
            f"preset: {weights} was written for {_described(described)}, got {_described(chosen)}, "
            f"which differs in {', '.join(differing)}; without a preset, the file's is taken"
        )
    return with_classes(chosen, class_names) if class_names else chosen


def _only_fit(weights: str | Path, classes: int) -> Preset:
    fits = fitting_presets(read_shapes(weights))
    if len(fits) == 1 and classes in (0, fits[0].classes) and (fits[0].exact or classes):
        return fits[0].preset
    remedy = ""
    if fits and classes not in (0, fits[0].classes):
        remedy = f"; class_names: expected {fits[0].classes} names, got {classes}"
    elif len(fits) > 1:
        remedy = "; they differ in what the tensors do not show, so a preset must be given"
    raise CheckpointError(
        f"weights: {weights} does not say which preset it is for; {describe_fits(fits)}{remedy}"
    )


def _described(preset: Preset) -> str:
    return f"{preset.name} ({preset.input_size} pixels, {len(preset.class_names)} classes)"
