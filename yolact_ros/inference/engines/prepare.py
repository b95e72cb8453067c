# SPDX-License-Identifier: Apache-2.0
"""From the arguments of a `Segmenter` to a network that is ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

from yolact_ros.checkpoints.files import ONNX, expanded, find_kind
from yolact_ros.choices import COMPILE_MODES, ENGINE_CHOICES, PRECISIONS, RESIZE_KINDS
from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.inference.device import resolve_device
from yolact_ros.inference.loading import load_network
from yolact_ros.inference.precision import resolve_precision
from yolact_ros.network import Yolact
from yolact_ros.network.folding import fold_batch_norms
from yolact_ros.presets import Preset

from .compilation import compile_network, resolve_compile
from .cut_network import CutNetwork
from .exported_file import expect_precision
from .float32 import Float32Network
from .onnxruntime import OnnxNetwork
from .openvino import OpenVinoNetwork
from .protocol import EngineNetwork, RawNetwork


class PreparedNetwork(NamedTuple):
    """A network that is ready to run.

    Attributes:
        engine: One of `yolact_ros.choices.ENGINES`, or what another network calls its own.
        network: The network.
        device: Where it takes its input and leaves its predictions.
        precision: "fp32", "tf32", "fp16", "bf16" or "int8": its arithmetic.
        dtype: Of its input.
        precision_reason: What was measured to choose it; empty where nothing was.
        providers: Names of ONNX Runtime's execution providers or OpenVINO's devices; none in torch.
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
    expect_one_of("engine", engine, ENGINE_CHOICES)
    expect_one_of("precision", precision, (*PRECISIONS, "int8"))  # torch refuses the last itself
    expect_one_of("resize", resize, RESIZE_KINDS)
    expect_one_of("compile", compile, COMPILE_MODES)
    if network is not None and (preset is not None or weights is not None or class_names):
        raise InputError("network: expected neither preset, weights nor class_names beside it")
    if isinstance(network, Yolact) and engine not in ("auto", "torch"):
        raise InputError(f"engine: expected torch for a Yolact, got {engine!r}")
    if network is None:
        engine = resolve_engine(engine, weights)
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
                "weights: expected an .onnx file of `yolact-ros export` for engine "
                f"{engine!r}, got none"
            )
        network = load_exported(
            engine,
            weights,
            device=device,
            precision=precision,
            preset=preset,
            class_names=class_names,
        )
    else:
        expect_precision(precision, network.precision)
    return PreparedNetwork(
        network.engine,
        network,
        network.device,
        network.precision,
        torch.float32,
        providers=network.providers,
    )


def load_exported(
    engine: str,
    path: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    preset: str | Preset | None = None,
    class_names: Sequence[str] = (),
) -> CutNetwork:
    """Load an `.onnx` file in an engine other than torch; see its network for the arguments."""
    load = {"onnxruntime": OnnxNetwork, "openvino": OpenVinoNetwork}[engine]
    return load(path, device=device, precision=precision, preset=preset, class_names=class_names)


def resolve_engine(engine: str, weights: str | Path | None) -> str:
    """The engine to use: for "auto" torch, but for an exported file another one.

    That is ONNX Runtime, or OpenVINO where that alone is installed.
    """
    if engine != "auto":
        return engine
    path = None if weights is None else expanded(weights)
    if path is None or not path.is_file() or find_kind(path).name != ONNX:
        return "torch"
    if find_spec("onnxruntime") is None and find_spec("openvino") is not None:
        return "openvino"
    return "onnxruntime"
