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
from yolact_ros.choices import EXPORT_OPSETS
from yolact_ros.errors import InputError
from yolact_ros.inference.engines.exported_file import INPUT, MASK_IOU_INPUT, MASK_IOU_OUTPUT
from yolact_ros.inference.engines.onnx_file import why_refused
from yolact_ros.network import Yolact
from yolact_ros.network.deformable import DeformableConv2d

from .exported_network import ExportedNetwork

_WITH_DEFORMABLE = 19
"""The first opset that has deformable convolution."""


def choose_opset(network: Yolact, opset: int | None) -> int:
    """The opset that is wanted, or the lowest that a network can be written in.

    Raises:
        InputError: It cannot be written in the one that is wanted.
    """
    lowest, highest = EXPORT_OPSETS[0], EXPORT_OPSETS[-1]
    why = ""
    if any(isinstance(module, DeformableConv2d) for module in network.modules()):
        lowest, why = _WITH_DEFORMABLE, f" for {network.preset.name}, as DeformConv came with 19"
    if opset is None:
        return lowest
    if not lowest <= opset <= highest:
        raise InputError(f"opset: expected {lowest} to {highest}{why}, got {opset}")
    return opset


def write_onnx(module: ExportedNetwork, images: Tensor, path: Path, opset: int) -> None:
    """Write the file.

    Args:
        module: The network to export, with `cut_at_mask_iou`.
        images: An example of its input, of two images or more unless it is for one.
        path: The file.
        opset: As `choose_opset` chose it. The file has the lowest IR version with it.

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
            opset_version=opset,
            dynamic_shapes=module.dynamic_shapes,
            input_names=[INPUT],
            output_names=names,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    _hide_outputs(model.graph, (MASK_IOU_INPUT, MASK_IOU_OUTPUT))
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
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
        import onnx

        runtime = f"onnxruntime {onnxruntime.__version__}"
        found = why_refused(runtime, onnx.load(path, load_external_data=False), error)
        raise InputError(
            f"export: expected onnxruntime to run the file, to compare it with the network: {found}"
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
