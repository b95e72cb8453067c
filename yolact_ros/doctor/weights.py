# SPDX-License-Identifier: Apache-2.0
"""Whether a file of weights is one, whole, and of which network."""

from __future__ import annotations

from pathlib import Path

from yolact_ros.errors import InputError
from yolact_ros.findings import Finding, error, not_checked, ok, warning

_AGAIN = "yolact-ros weights list tells which files there are, weights download brings them"


def check_weights(file: Path | None) -> Finding:
    """Read a file of weights as the node would.

    Args:
        file: None: nobody named one.
    """
    from yolact_ros.checkpoints import files, fitting, reading  # torch

    if file is None:
        return not_checked("weights", "no file was named", "doctor --weights FILE checks one")
    try:
        if files.find_kind(files.expanded(file)).name == files.ONNX:
            return ok("weights", f"{file} is an exported model: onnxruntime or openvino runs it")
        read = reading.read_network(file)
        preset = read.preset
    except InputError as refusal:  # it says what to do, too
        return error("weights", str(refusal), _AGAIN)
    if broken := reading.not_finite(read):
        return error(
            "weights",
            f"{file}: {fitting.listing('tensors with values that are not finite', broken)}",
            "train again from an earlier checkpoint, or download the file again",
        )
    if preset is not None:
        return ok("weights", f"{file}: of {preset.name}, {len(preset.class_names)} classes")
    fits = fitting.fitting_presets(read.shapes)
    described = f"{file}: {fitting.describe_fits(fits)}"
    if not fits:
        return error("weights", described, f"yolact-ros weights inspect {file} says more")
    if not fits[0].exact:
        return warning("weights", described, "set class_names to them, in their order of training")
    return ok("weights", described)
