# SPDX-License-Identifier: Apache-2.0
"""Write exported files, and compare them with the network that they were made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from yolact_ros.checkpoints.checkpoint import replacing
from yolact_ros.choices import EXPORT_FORMATS, EXPORT_PRECISIONS
from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.inference.engines.exported_file import RAW_OUTPUTS
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.network import Yolact

from .exported_network import ExportedNetwork
from .onnx_format import run_onnx, write_onnx
from .torch_format import run_torch, write_torch

Outputs = Mapping[str, Tensor]

BOUNDS = {"fp32": 1e-3, "fp16": 3e-2}
"""Largest difference from torch in fp32 that a raw output may have, by the precision of the file:
relative to the output's own largest value, or to 1 if that is larger."""

_WRITE: dict[str, Callable[[ExportedNetwork, Tensor, Path], None]] = {
    "onnx": write_onnx,
    "torch": write_torch,
}
_RUN: dict[str, Callable[[Path, Tensor], Outputs]] = {"onnx": run_onnx, "torch": run_torch}
_BATCHES = (1, 3)


def export_network(
    network: Yolact,
    path: str | Path,
    *,
    format: str = "onnx",
    options: SegmenterOptions | None = None,
    precision: str = "fp32",
    check: bool = True,
) -> dict[str, float]:
    """Export a network with decoding and suppression as a single file.

    Args:
        network: In evaluation mode.
        path: The file to write: `.onnx` or `.pt2`, depending on the format.
        format: "onnx" (opset 20) or "torch" (`torch.export`).
        options: Which detections the decoded outputs hold; they become constants of the file.
        precision: "fp32" or "fp16": arithmetic of the network; its inputs and outputs are float32.
        check: Whether to run the file on noise, at two batch sizes, before it gets its name.

    Returns:
        For each raw output the largest difference from the network in torch, measured as in
        `BOUNDS`; empty without the check.

    Raises:
        InputError: A value is not among those expected, a package is missing, or the file does not
            reproduce the network's outputs.
    """
    path = Path(path)
    expect_one_of("format", format, tuple(EXPORT_FORMATS))
    if path.suffix != EXPORT_FORMATS[format]:
        raise InputError(f"out: expected a name that ends in {EXPORT_FORMATS[format]}, got {path}")
    if not path.parent.is_dir():
        raise InputError(f"out: expected a folder at {path.parent}, found none")
    expect_one_of("precision", precision, EXPORT_PRECISIONS)
    module = ExportedNetwork(
        network, options or SegmenterOptions(), precision, cut_at_mask_iou=format == "onnx"
    ).eval()
    side = network.preset.input_size
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(max(_BATCHES), 3, side, side, generator=generator)
    with replacing(path) as unfinished:
        _WRITE[format](module, noise[:2], unfinished)
        run = _RUN[format]
        differences = _compare(network, lambda x: run(unfinished, x), noise) if check else {}
        if wrong := {n: d for n, d in differences.items() if not d <= BOUNDS[precision]}:
            found = ", ".join(f"{name} {value:.1e}" for name, value in wrong.items())
            raise InputError(
                f"export: expected outputs within {BOUNDS[precision]} of torch's, got {found}"
            )
    return differences


@torch.inference_mode()
def _compare(
    network: Yolact, exported: Callable[[Tensor], Outputs], noise: Tensor
) -> dict[str, float]:
    device = next(network.parameters()).device
    differences = dict.fromkeys(RAW_OUTPUTS, 0.0)
    for batch in _BATCHES:
        expected = network(noise[:batch].to(device))
        got = exported(noise[:batch])
        for name in RAW_OUTPUTS:
            values = getattr(expected, name).float().cpu()
            unit = values.abs().max().clamp(min=1)
            difference = float((got[name] - values).abs().max() / unit)
            differences[name] = max(differences[name], difference)
    return differences
