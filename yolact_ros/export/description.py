# SPDX-License-Identifier: Apache-2.0
"""Say what an exported file is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from yolact_ros.checkpoints import CheckpointError
from yolact_ros.checkpoints.files import ONNX, find_kind
from yolact_ros.checkpoints.fitting import listing
from yolact_ros.inference.engines.exported_file import ExportedFile
from yolact_ros.inference.engines.onnx_file import not_finite, read_onnx, versions_of

from .torch_format import METADATA


def describe(path: Path) -> dict[str, str]:
    """Describe an ONNX model or a program of `torch.export` that `yolact-ros export` wrote.

    Nothing in a program is executed, and its tensors are not read.

    Returns:
        Text by what it is about.

    Raises:
        CheckpointError: Another program wrote it, or it is damaged.
    """
    if find_kind(path).name != ONNX:
        entries = {"format": "torch.export program"}
        file = ExportedFile.from_metadata(_metadata_of_program(path), path)
    else:
        found = read_onnx(path)
        graph, file = found.model.graph, found.described
        entries = {
            "format": f"ONNX, {versions_of(found.model)}",
            "inputs": ", ".join(map(_shape, graph.input)),
            "outputs": ", ".join(map(_shape, graph.output)),
        }
        if broken := not_finite(found.model):
            entries["broken"] = listing("constants with values that are not finite", broken)
    preset = file.preset
    entries["preset"] = (
        f"{preset.name}, {preset.input_size} pixels, {len(preset.class_names)} classes"
    )
    entries["class names"] = ", ".join(preset.class_names)
    for name, text in file.metadata().items():
        if name in ("precision", "options", "calibration"):
            entries[name] = text
    return entries


def _shape(value: Any) -> str:
    axes = (str(axis.dim_param or axis.dim_value) for axis in value.type.tensor_type.shape.dim)
    return f"{value.name} {'x'.join(axes)}"


def _metadata_of_program(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(f"/{METADATA}"):
                try:
                    found: dict[str, str] = json.loads(archive.read(name))
                    return found
                except (ValueError, zipfile.BadZipFile) as error:
                    raise CheckpointError(f"weights: {path} is damaged: {error}") from error
    return {}
