# SPDX-License-Identifier: Apache-2.0
"""From any checkpoint to a safetensors file with its preset and classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yolact_ros.presets import Preset
from yolact_ros.provenance import file_sha256

from .checkpoint import check_fit, describe_preset, write_tensors
from .choice import choose_preset
from .fitting import count_of_classes, expected_shapes
from .reading import read_network, require_finite


def convert_checkpoint(
    source: Path,
    target: Path,
    *,
    preset: str | None = None,
    class_names: Sequence[str] = (),
    half: bool = False,
) -> tuple[Preset, list[str]]:
    """Write a checkpoint's tensors as safetensors, with its preset and classes.

    Args:
        source: A `.pth` or `.safetensors` file; its other metadata is kept.
        target: The file to write, ending in `.safetensors`; replaced if it exists.
        preset, class_names: See `choose_preset`.
        half: Whether to round floating-point tensors to fp16, which halves the file.

    Returns:
        The preset in the new file's metadata, and what was left out or changed, a line each.

    Raises:
        CheckpointError: The source cannot be read or does not fit the preset.
        InputError: `target` has another ending; there is no preset of that name.
    """
    file = read_network(source)
    chosen = choose_preset(file, preset, class_names)
    expecting = f"{chosen.name} with {count_of_classes(len(chosen.class_names))}"
    check_fit(file.path, expecting, expected_shapes(chosen), file.shapes)
    require_finite(file)
    kept = dict(file.tensors)
    if half:
        kept = {k: v.half() if v.is_floating_point() else v for k, v in kept.items()}
    origin = {"source": file.path.name, "source_sha256": file_sha256(file.path)}
    write_tensors(kept, target, {**origin, **file.metadata, **describe_preset(chosen)})
    obsolete = "left out, as the authors' loader does: " + ", ".join(file.obsolete)
    return chosen, [line for line in (file.remark, obsolete if file.obsolete else "") if line]
