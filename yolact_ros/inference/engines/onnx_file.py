# SPDX-License-Identifier: Apache-2.0
"""Read an `.onnx` file of `yolact-ros export`, and say why a runtime refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from yolact_ros.checkpoints import CheckpointError
from yolact_ros.checkpoints.files import ONNX, PROGRAM, expanded, find_kind
from yolact_ros.checkpoints.fitting import listing
from yolact_ros.errors import InputError, first_line, plain

from .exported_file import MASK_IOU_INPUT, ExportedFile

_KNOWS = (
    (re.compile(r"max supported IR version: (\d+)"), "IR versions"),
    (re.compile(r"is till opset (\d+)"), "opsets"),
)
# What comes before a reason: a code, the runtime's own source file, and a signature.
_BEFORE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z])")
_QUANTISING = ("QuantizeLinear", "DequantizeLinear")
_LONGEST = 200  # characters of a runtime's own words


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file of ours.

    Attributes:
        path: The file, without `~`.
        model: An `onnx.ModelProto`.
        described: What its metadata say.
    """

    path: Path
    model: Any
    described: ExportedFile


def read_onnx(path: str | Path) -> OnnxFile:
    """Read a file, whatever its name.

    Raises:
        InputError: The package onnx is not installed.
        CheckpointError: It is no ONNX file or not one of `yolact-ros export`, or it is damaged.
    """
    path = expanded(path)
    kind = find_kind(path, "an .onnx file")
    if kind.name != ONNX:
        fault = kind.fault
        if kind.name == PROGRAM:
            fault = "is a program of torch.export; export the network again, to a name in .onnx"
        elif not fault:
            fault = (
                "is a file of weights, which runs with engine 'torch'; `yolact-ros export` makes "
                "an .onnx file of it"
            )
        raise CheckpointError(f"weights: expected an .onnx file; {path} {fault}")
    try:
        import onnx
    except ImportError as error:
        raise InputError(
            f"weights: expected the package onnx to read {path} (pip install onnx), got: {error}"
        ) from error
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own errors
        raise CheckpointError(
            f"weights: cannot read {path} as ONNX: it is cut off, damaged or another program "
            f"({first_line(error)})"
        ) from error
    entries = {entry.key: entry.value for entry in model.metadata_props}
    return OnnxFile(path, model, ExportedFile.from_metadata(entries, path))


def in_batches(run: Callable[[Tensor], list[Tensor]], x: Tensor, size: int) -> list[Tensor]:
    """Run a network that takes a fixed number of images on any number of them.

    Args:
        run: Takes (size, 3, S, S), and returns tensors of as many images.
        x: (B, 3, S, S).
        size: That number; where images are missing, zeros fill it up.
    """
    missing = -len(x) % size
    parts = torch.cat([x, x.new_zeros(missing, *x.shape[1:])]).split(size)
    outputs = zip(*map(run, parts), strict=True)
    return [torch.cat(values)[: len(x)] for values in outputs]


def fixed_batch(model: Any) -> int | None:
    """Number of images that a model takes at once; None for any."""
    count: int = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    return count or None


def fixed_shape(value: Any) -> tuple[int, ...]:
    """Axes of a tensor of a model but for the first; 0 where any number may stand."""
    return tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)[1:]


def producers(model: Any) -> dict[str, Any]:
    """The node that makes a tensor, by the tensor's name."""
    return {name: node for node in model.graph.node for name in node.output}


def behind(outputs: Iterable[str], model: Any) -> set[str]:
    """Names of the tensors that nodes make and outputs are computed from, themselves included."""
    maker = producers(model)
    found: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in maker and name not in found:
            found.add(name)
            waiting.extend(maker[name].input)
    return found


def only_way_to(output: str, others: Sequence[str], model: Any) -> str | None:
    """Find where a model can be cut into what the other outputs need and what one needs besides.

    Args:
        output: The one.
        others: Those that come first.
        model: An `onnx.ModelProto`, with the shapes of the tensors within.

    Returns:
        The only tensor that the second part takes from the first; None if there are several, or
        one that is not of float32 and a fixed size. Quantising is left to both parts.
    """
    from onnx import TensorProto

    maker = producers(model)
    first = behind(others, model)
    own = behind([output], model) - first
    ways = {
        name
        for tensor in own
        for name in maker[tensor].input
        if name in first and maker[name].input  # constants need no way
    }
    while any(maker[name].op_type in _QUANTISING for name in ways):
        ways = {
            maker[name].input[0] if maker[name].op_type in _QUANTISING else name for name in ways
        }
    described = {value.name: value for value in model.graph.value_info}
    if len(ways) != 1 or not ways <= described.keys():
        return None
    [way] = ways
    kind = described[way].type.tensor_type
    fixed = kind.elem_type == TensorProto.FLOAT and all(fixed_shape(described[way]))
    return way if fixed else None


def versions_of(model: Any) -> str:
    """The versions that a runtime must know: "IR version 8, opset 18"."""
    opset = max(entry.version for entry in model.opset_import if not entry.domain)
    return f"IR version {model.ir_version}, opset {opset}"


def not_finite(model: Any) -> list[str]:
    """Names of the constants that hold NaN or infinite values."""
    from onnx.numpy_helper import to_array

    names = []
    for tensor in model.graph.initializer:
        values = to_array(tensor)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            names.append(tensor.name)
    return names


def require_finite(file: OnnxFile) -> None:
    """Check that all constants are numbers.

    Raises:
        CheckpointError: Some are NaN or infinite: the network would find nothing.
    """
    if broken := not_finite(file.model):
        raise CheckpointError(
            f"weights: {file.path}: {listing('with values that are not finite', broken)}; the "
            "network that it was made from was broken: export another"
        )


def require_mask_iou(file: OnnxFile) -> None:
    """Check that a file of YOLACT++ has the mask-IoU net.

    Raises:
        CheckpointError: It was left out.
    """
    if MASK_IOU_INPUT not in (value.name for value in file.model.graph.value_info):
        raise CheckpointError(
            f"weights: expected the mask-IoU net of {file.described.preset.name} in {file.path}, "
            "got a file without it; export the network without --raw and --rescoring class"
        )


def why_refused(runtime: str, model: Any, error: BaseException) -> str:
    """One line on a model that a runtime does not load, with the versions of both.

    Args:
        runtime: Its name and version.
        model: An `onnx.ModelProto`.
        error: What it raised.
    """
    text = " ".join(plain(str(error)).split())
    reason, remedy = _BEFORE.sub("", text), "export the network again, or install another version"
    for pattern, what in _KNOWS:
        if found := pattern.search(text):
            reason = f"it knows {what} up to {found[1]}"
            remedy = (
                "export the network again (`yolact-ros export` takes the lowest versions that "
                "work), or install a newer one"
            )
    if "DeformConv" in reason and any(node.op_type == "DeformConv" for node in model.graph.node):
        remedy = "YOLACT++ needs one with DeformConv, 1.25 or later"
    if len(reason) > _LONGEST:
        reason = f"{reason[:_LONGEST]}..."
    return f"{runtime} cannot load the file ({versions_of(model)}): {reason}; {remedy}"
