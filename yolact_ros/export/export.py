# SPDX-License-Identifier: Apache-2.0
"""Write exported files, and compare them with the network that they were made from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
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
from .onnx_format import choose_opset, run_onnx, write_onnx
from .torch_format import run_torch, write_torch

Outputs = Mapping[str, Tensor]

BOUNDS = {"fp32": 1e-3, "fp16": 3e-2}
"""Largest difference from torch in fp32 that a raw output may have, by the precision of the file:
relative to the output's own largest value, or to 1 if that is larger."""

_RUN: dict[str, Callable[[Path, Tensor], Outputs]] = {"onnx": run_onnx, "torch": run_torch}
_BATCHES = (1, 3)


def export_network(
    network: Yolact,
    path: str | Path,
    *,
    format: str = "onnx",
    options: SegmenterOptions | None = None,
    precision: str = "fp32",
    raw: bool = False,
    batch: int | None = None,
    opset: int | None = None,
    check: bool = True,
) -> dict[str, float]:
    """Export a network, by default with decoding and suppression, as a single file.

    Args:
        network: In evaluation mode.
        path: The file to write: `.onnx` or `.pt2`, depending on the format.
        format: "onnx" or "torch" (`torch.export`).
        options: Which detections the decoded outputs hold; they become constants of the file.
        precision: "fp32" or "fp16": arithmetic of the network; its inputs and outputs are float32.
        raw: Leave decoding and suppression out; `options` must then be as they are by default.
        batch: Number of images that the file takes; None for any.
        opset: ONNX opset, one of `yolact_ros.choices.EXPORT_OPSETS`; None for the lowest that the
            network can be written in.
        check: Whether to run the file on noise, at two batch sizes if it takes any, before it gets
            its name.

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
    options = options or SegmenterOptions()
    if raw and options != SegmenterOptions():
        raise InputError("raw: expected no options of decoded outputs, which it leaves out")
    write: Callable[[ExportedNetwork, Tensor, Path], None] = write_torch
    if format == "onnx":
        write = functools.partial(write_onnx, opset=choose_opset(network, opset))
    elif opset is not None:
        raise InputError(f"opset: expected none with format {format!r}, got {opset}")
    module = ExportedNetwork(
        network,
        None if raw else options,
        precision,
        batch=batch,
        cut_at_mask_iou=format == "onnx",
    ).eval()
    side = network.preset.input_size
    batches = (batch,) if batch else _BATCHES
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(max(batches), 3, side, side, generator=generator)
    with replacing(path) as unfinished:
        write(module, noise[: batch or 2], unfinished)
        run = functools.partial(_RUN[format], unfinished)
        differences = _compare(network, run, noise, batches) if check else {}
        if wrong := {n: d for n, d in differences.items() if not d <= BOUNDS[precision]}:
            found = ", ".join(f"{name} {value:.1e}" for name, value in wrong.items())
            raise InputError(
                f"export: expected outputs within {BOUNDS[precision]} of torch's, got {found}"
            )
    return differences


@torch.inference_mode()
def _compare(
    network: Yolact, exported: Callable[[Tensor], Outputs], noise: Tensor, batches: Sequence[int]
) -> dict[str, float]:
    device = next(network.parameters()).device
    differences = dict.fromkeys(RAW_OUTPUTS, 0.0)
    for batch in batches:
        expected = network(noise[:batch].to(device))
        got = exported(noise[:batch])
        for name in RAW_OUTPUTS:
            values = getattr(expected, name).float().cpu()
            unit = values.abs().max().clamp(min=1)
            difference = float((got[name] - values).abs().max() / unit)
            differences[name] = max(differences[name], difference)
    return differences
