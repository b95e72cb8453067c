# SPDX-License-Identifier: Apache-2.0
"""The format "onnx"."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolact_ros import __version__
from yolact_ros.errors import InputError
from yolact_ros.inference.engines.exported_file import INPUT, MASK_IOU_INPUT, MASK_IOU_OUTPUT

from .exported_network import ExportedNetwork

OPSET = 20
"""The first that has deformable convolution in the form of torchvision's and is older than all of
today's engines."""


def write_onnx(module: ExportedNetwork, images: Tensor, path: Path) -> None:
    """Write the file.

    Args:
        module: The network to export, with `cut_at_mask_iou`.
        images: An example of its input, of two images or more.
        path: The file.

    Raises:
        InputError: onnx or onnxscript is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            "format: expected the packages onnx and onnxscript for 'onnx' (pip install onnx "
            f"onnxscript), got: {error}"
        ) from error
    with torch.no_grad(), _quiet("onnx_ir"):
        names = list(module(images))
        program = torch.onnx.export(
            module,
            (images,),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            input_names=[INPUT],
            output_names=names,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    _hide_outputs(model.graph, (MASK_IOU_INPUT, MASK_IOU_OUTPUT))
    model.producer_name, model.producer_version = "yolact_ros", __version__
    onnx.helper.set_model_props(model, module.file.metadata())
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def run_onnx(path: Path, images: Tensor) -> dict[str, Tensor]:
    """Run a file once on the CPU.

    Raises:
        InputError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "export: expected the package onnxruntime, to compare the file with the network, "
            f"got: {error}"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own errors share no base class
        raise InputError(
            f"export: expected onnxruntime to run the file, to compare it with the network, got: "
            f"{error}; YOLACT++ needs a version with DeformConv, 1.25 or later"
        ) from error
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {INPUT: images.numpy()})
    return {name: torch.from_numpy(array) for name, array in zip(names, values, strict=True)}


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Silence a logger but for errors: the exporter's optimiser lists constants it left alone."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _strip(model: Any) -> None:
    """Remove the exporter's notes for its developers, which hold paths of this machine."""
    del model.metadata_props[:]
    graph = model.graph
    for item in (graph, *graph.node, *graph.initializer, *graph.value_info):
        del item.metadata_props[:]
        item.doc_string = ""
    for item in (*graph.input, *graph.output):
        del item.metadata_props[:]


def _hide_outputs(graph: Any, names: tuple[str, ...]) -> None:
    """Turn outputs into inner tensors, whose names and shapes stay known."""
    hidden = [output for output in graph.output if output.name in names]
    for output in hidden:
        graph.value_info.append(output)
        graph.output.remove(output)
