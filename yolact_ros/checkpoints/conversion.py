# SPDX-License-Identifier: Apache-2.0
"""From any checkpoint to a safetensors file with its preset and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yolact_ros.errors import InputError
from yolact_ros.presets import Preset
from yolact_ros.provenance import file_sha256

from .checkpoint import (
    CheckpointError,
    describe_preset,
    is_obsolete,
    read_checkpoint,
    read_metadata,
    write_tensors,
)
from .choice import choose_preset
from .fitting import compare_shapes, describe_fits, expected_shapes, fitting_presets


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion.

    Attributes:
        preset: The preset in the new file's metadata.
        dropped: Names of obsolete tensors that were left out.
    """

    preset: Preset
    dropped: tuple[str, ...]


def convert_checkpoint(
    source: str | Path,
    target: str | Path,
    *,
    preset: str | Preset | None = None,
    class_names: Sequence[str] = (),
    half: bool = False,
    overwrite: bool = False,
) -> Conversion:
    """Write a checkpoint's tensors as safetensors, with its preset and classes.

    Args:
        source: A `.pth` or `.safetensors` file; its other metadata is kept.
        target: The file to write, ending in `.safetensors`.
        preset, class_names: See `choose_preset`.
        half: Whether to round floating-point tensors to fp16, which halves the file.
        overwrite: Whether `target` may exist.

    Raises:
        CheckpointError: The source cannot be read or does not fit the preset.
        InputError: `target` exists or has another ending; there is no preset of that name.
    """
    source, target = Path(source), Path(target)
    if target.suffix != ".safetensors":
        raise InputError(f"target: expected a name that ends in .safetensors, got {target}")
    if target.exists() and not overwrite:
        raise InputError(f"target: {target} exists; it is replaced only if that is asked for")
    state = read_checkpoint(source)
    dropped = tuple(name for name in state if is_obsolete(name))
    kept = {name: tensor for name, tensor in state.items() if name not in dropped}
    chosen = choose_preset(source, preset, class_names)
    shapes = {name: tuple(tensor.shape) for name, tensor in kept.items()}
    if mismatch := compare_shapes(expected_shapes(chosen), shapes):
        raise CheckpointError(
            f"weights: {source} does not fit {chosen.name} with {len(chosen.class_names)} classes: "
            f"{mismatch}; {describe_fits(fitting_presets(shapes))}"
        )
    if half:
        kept = {k: v.half() if v.is_floating_point() else v for k, v in kept.items()}
    origin = {"source": source.name, "source_sha256": file_sha256(source)}
    write_tensors(kept, target, {**origin, **read_metadata(source), **describe_preset(chosen)})
    return Conversion(chosen, dropped)
