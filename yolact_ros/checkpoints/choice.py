# SPDX-License-Identifier: Apache-2.0
"""The preset of a weights file: given by the user, by its metadata, or by its tensors."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from yolact_ros.presets import Preset, get_preset, with_classes

from .files import CheckpointError
from .fitting import (
    class_count,
    count_of_classes,
    describe_fits,
    fitting_presets,
    without_mask_iou,
)
from .reading import WeightsFile, read_network

# Neither changes what the network computes.
_IRRELEVANT = frozenset({"name", "published"})
_CLASSES = frozenset({"class_names", "category_ids"})

_log = logging.getLogger(__name__)


def choose_preset(
    weights: str | Path | WeightsFile,
    preset: str | Preset | None = None,
    class_names: Sequence[str] = (),
) -> Preset:
    """Choose the preset to build for a weights file.

    Args:
        weights: A `.pth` or `.safetensors` file, or what was read of one.
        preset: A preset or its name; None for the one that the file's metadata describe or, if they
            describe none, the only one that has the file's tensors and as many classes.
        class_names: Names of the file's classes, in the order of the class ids; empty for those of
            the preset. A file of the authors' training code has none: they must be given if it was
            trained on other classes. That the preset's are taken is a line in the log.

    Returns:
        The preset with the classes; without the mask-IoU net of YOLACT++ if the file has none.

    Raises:
        CheckpointError: The metadata describe another preset than the given one; no preset is given
            or described and the tensors do not fit exactly one; the file has another number of
            classes; or it holds no network.
        InputError: There is no preset of that name.
    """
    file = read_network(weights)
    described = file.preset
    if described is not None:
        return agree_on_preset(described, file.path, preset, class_names)
    if preset is None:
        chosen = _only_fit(file, len(class_names))
    else:
        chosen = without_mask_iou(get_preset(preset), file.tensors)
        _require_classes(file, chosen, class_names)
        if chosen != get_preset(preset):
            _log.warning(
                "weights: %s has no mask-IoU net, so that scores are those of the classes alone",
                file.path,
            )
    if class_names:
        return with_classes(chosen, class_names)
    warn_of_assumed_classes(file, chosen)
    return chosen


def warn_of_assumed_classes(file: WeightsFile, preset: Preset) -> None:
    """Say in the log that a file without class names is taken to have those of a preset."""
    _log.warning(assumed_classes(file, preset.class_names, "class_names (--class-names)"))


def assumed_classes(file: WeightsFile, names: Sequence[str], option: str) -> str:
    """Say that a file without class names is taken to have these, and how to say otherwise."""
    shown = ", ".join(names if len(names) <= 4 else (*names[:3], "...", names[-1]))
    return (
        f"weights: {file.path} does not name its {count_of_classes(len(names))}, which are taken "
        f"for {shown}; if they are others, give {option}"
    )


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

    Raises:
        CheckpointError: They do not agree.
    """
    count = len(described.class_names)
    if len(class_names) not in (0, count):
        raise CheckpointError(_wrong_number(weights, count, class_names))
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


def _require_classes(file: WeightsFile, preset: Preset, class_names: Sequence[str]) -> None:
    """Check that there are as many names as a file has classes, if it is the preset's otherwise."""
    count = class_count(file.shapes)
    names = class_names or preset.class_names
    fits = fitting_presets(file.shapes) if count not in (None, len(names)) else []
    if count is None or all(fit.preset.name != preset.name for fit in fits):
        return  # nothing to say of classes, but of other tensors
    if class_names:
        raise CheckpointError(_wrong_number(file.path, count, class_names))
    raise CheckpointError(
        f"weights: {file.path} has {count_of_classes(count)}, and {preset.name} has "
        f"{len(preset.class_names)}; {describe_fits(fits)}"
    )


def _only_fit(file: WeightsFile, classes: int) -> Preset:
    fits = fitting_presets(file.shapes)
    if len(fits) == 1 and classes in (0, fits[0].classes) and (fits[0].exact or classes):
        return fits[0].preset
    remedy = ""
    if fits and classes not in (0, fits[0].classes):
        remedy = f"; class_names: expected {fits[0].classes} names for it, got {classes}"
    elif len(fits) > 1:
        remedy = (
            "; they differ in what the tensors do not show, so a preset must be given: preset, on "
            "the command line --preset"
        )
    raise CheckpointError(
        f"weights: {file.path} does not say which preset it is for; {describe_fits(fits)}{remedy}"
    )


def _wrong_number(weights: str | Path, count: int, class_names: Sequence[str]) -> str:
    return f"class_names: expected {count} names for {weights}, got {len(class_names)}"


def _described(preset: Preset) -> str:
    return f"{preset.name} ({preset.input_size} pixels, {len(preset.class_names)} classes)"
