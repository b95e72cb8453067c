# SPDX-License-Identifier: Apache-2.0
"""From any checkpoint to a safetensors file with its preset and classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yolact_ros.presets import Preset
from yolact_ros.provenance import file_sha256

from .checkpoint import (
    check_fit,
    describe_preset,
    is_obsolete,
    read_checkpoint,
    read_metadata,
    write_tensors,
)
from .choice import choose_preset
from .fitting import expected_shapes, shapes_of


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
        The preset in the new file's metadata, and the names of obsolete tensors that were left out.

    Raises:
        CheckpointError: The source cannot be read or does not fit the preset.
        InputError: `target` has another ending; there is no preset of that name.
    """
    state = read_checkpoint(source)
    kept = {name: tensor for name, tensor in state.items() if not is_obsolete(name)}
    chosen = choose_preset(source, preset, class_names)
    expecting = f"{chosen.name} with {len(chosen.class_names)} classes"
    check_fit(source, expecting, expected_shapes(chosen), shapes_of(kept))
    if half:
        kept = {k: v.half() if v.is_floating_point() else v for k, v in kept.items()}
    origin = {"source": source.name, "source_sha256": file_sha256(source)}
    write_tensors(kept, target, {**origin, **read_metadata(source), **describe_preset(chosen)})
    return chosen, [name for name in state if is_obsolete(name)]
