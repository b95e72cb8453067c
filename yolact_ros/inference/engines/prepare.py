# SPDX-License-Identifier: Apache-2.0
"""From the arguments of a `Segmenter` to a network that is ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from yolact_ros.choices import COMPILE_MODES, ENGINES, PRECISIONS, RESIZE_KINDS
from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.inference.device import resolve_device
from yolact_ros.inference.loading import load_network
from yolact_ros.inference.precision import resolve_precision
from yolact_ros.network import Yolact
from yolact_ros.network.folding import fold_batch_norms
from yolact_ros.presets import Preset

from .compilation import compile_network, resolve_compile
from .float32 import Float32Network
from .onnxruntime import OnnxNetwork
from .protocol import EngineNetwork, RawNetwork


class PreparedNetwork(NamedTuple):
    """A network that is ready to run.

    Attributes:
        engine: One of `yolact_ros.choices.ENGINES`, or what another network calls its own.
        network: The network.
        device: Where it takes its input and leaves its predictions.
        precision: "fp32", "tf32", "fp16" or "bf16": its arithmetic.
        dtype: Of its input.
        precision_reason: What was measured to choose it; empty where nothing was.
        providers: Names of ONNX Runtime's execution providers; none in torch.
        compiled: Whether it goes through `torch.compile`.
        cuda_graphs: Whether CUDA graphs are to hold it.
    """

    engine: str
    network: RawNetwork
    device: torch.device
    precision: str
    dtype: torch.dtype
    precision_reason: str = ""
    providers: tuple[str, ...] = ()
    compiled: bool = False
    cuda_graphs: bool = False


def prepare_network(
    *,
    preset: str | Preset | None,
    weights: str | Path | None,
    network: Yolact | EngineNetwork | None,
    class_names: Sequence[str],
    engine: str,
    device: str,
    precision: str,
    resize: str,
    compile: str,
    cuda_graphs: bool,
) -> PreparedNetwork:
    """Check the arguments, which are those of `Segmenter`, then load what they describe.

    Raises:
        InputError: A value is not among those expected, or not with this engine; weights that do
            not fit raise its subclass `CheckpointError`.
    """
    expect_one_of("engine", engine, ENGINES)
    expect_one_of("precision", precision, PRECISIONS)
    expect_one_of("resize", resize, RESIZE_KINDS)
    expect_one_of("compile", compile, COMPILE_MODES)
    if network is not None and (preset is not None or weights is not None or class_names):
        raise InputError("network: expected neither preset, weights nor class_names beside it")
    if isinstance(network, Yolact) and engine != "torch":
        raise InputError(f"engine: expected torch for a Yolact, got {engine!r}")
    if isinstance(network, Yolact) or (network is None and engine == "torch"):
        chosen_device = resolve_device(device)
        chosen = resolve_precision(precision, chosen_device)
        compiled = resolve_compile(compile, chosen_device, chosen.dtype)
        if network is None:
            network = load_network(preset, weights, class_names)
        network = fold_batch_norms(network).to(device=chosen_device, dtype=chosen.dtype)
        network = network.to(memory_format=torch.channels_last)
        if compiled:
            network = compile_network(network)
        exact = chosen_device.type == "cuda" and chosen.dtype == torch.float32
        return PreparedNetwork(
            "torch",
            Float32Network(network, tf32=chosen.name == "tf32") if exact else network,
            chosen_device,
            chosen.name,
            chosen.dtype,
            chosen.reason,
            compiled=compiled,
            cuda_graphs=cuda_graphs and chosen_device.type == "cuda",
        )
    if resize == "fit":
        raise InputError(
            "resize: expected square, as an exported file takes one size of input, got 'fit'"
        )
    if compile == "on":
        raise InputError("compile: expected off or auto with another engine than torch, got on")
    if network is None:
        if weights is None:
            raise InputError(
                "weights: expected an .onnx file of `yolact-ros export` for engine 'onnxruntime', "
                "got none"
            )
        network = OnnxNetwork(weights, device=device, preset=preset, class_names=class_names)
    if precision not in ("auto", network.precision):
        raise InputError(
            f"precision: expected auto or {network.precision}, which the exported file has, "
            f"got {precision!r}"
        )
    return PreparedNetwork(
        network.engine,
        network,
        network.device,
        network.precision,
        torch.float32,
        providers=network.providers,
    )
