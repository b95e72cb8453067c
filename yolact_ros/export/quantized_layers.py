# SPDX-License-Identifier: Apache-2.0
"""The layers of an exported ONNX graph: which are the last, which decode, which are in INT8."""

from __future__ import annotations

from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.inference.engines.exported_file import RAW_OUTPUTS
from yolact_ros.inference.engines.onnx_file import behind, producers


def last_convolutions(model: Any, levels: int) -> list[str]:
    """Names of the convolutions that predict boxes, classes, coefficients and prototypes.

    Args:
        model: The `onnx.ModelProto`.
        levels: Number of feature maps that the first three are predicted from.

    Raises:
        InputError: The graph has another number of them.
    """
    maker = producers(model)
    found: dict[str, Any] = {}
    for output, expected in zip(RAW_OUTPUTS, (levels, levels, levels, 1), strict=True):
        last: dict[str, Any] = {}
        waiting, seen = [output], set[str]()
        while waiting:
            node = maker.get(waiting.pop())
            if node is None or node.name in seen:
                continue
            seen.add(node.name)
            if node.op_type == "Conv":
                last[node.name] = node
            else:
                waiting += node.input
        if len(last) != expected:
            raise InputError(
                f"quantize: expected {expected} convolutions that make {output}, found "
                f"{len(last)}: export the network with this version of yolact_ros"
            )
        found |= last  # one convolution may make several outputs
    return list(found)


def decoding(model: Any) -> list[str]:
    """Names of the nodes that the raw outputs do not depend on: decoding, suppression, mask IoU."""
    needed = behind(RAW_OUTPUTS, model)
    return [node.name for node in model.graph.node if needed.isdisjoint(node.output)]


def quantized(model: Any) -> set[str]:
    """Names of the nodes whose weights are in INT8."""
    maker = producers(model)
    return {
        node.name
        for node in model.graph.node
        if node.op_type in _WITH_WEIGHTS
        and getattr(maker.get(node.input[1]), "op_type", "") == "DequantizeLinear"
    }


def layer_names(model: Any) -> dict[str, str]:
    """The network's name of each layer with weights, by the name of its node."""
    constants = {constant.name for constant in model.graph.initializer}
    names = {}
    for node in model.graph.node:
        weights = [name for name in node.input[1:2] if name in constants]
        name = weights[0] if weights and node.op_type in _WITH_WEIGHTS else node.name
        names[node.name] = name.removeprefix("_network.").removesuffix(".weight")
    return names


_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
