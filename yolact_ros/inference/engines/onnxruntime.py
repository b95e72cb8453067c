# SPDX-License-Identifier: Apache-2.0
"""An exported network in ONNX Runtime, in the place of the torch one."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from yolact_ros.checkpoints import CheckpointError
from yolact_ros.errors import InputError
from yolact_ros.inference.device import resolve_device
from yolact_ros.provenance import user_cache

from .cut_network import CutNetwork, Load
from .onnx_file import fixed_batch, fixed_shape, why_refused

_CUDA, _TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
_CPU = "CPUExecutionProvider"


class OnnxNetwork(CutNetwork):
    """The network of an `.onnx` file in ONNX Runtime; see `CutNetwork`.

    Args:
        path: The file.
        device: "auto" (CUDA if both torch and ONNX Runtime have it), "cpu", "cuda" or "cuda:N". On
            a CPU it takes as many threads as torch has when this is called. On CUDA it runs in
            TensorRT what that can, where ONNX Runtime has it.
        precision: "auto", or that of the file.
        preset: A preset or its name that the file must be for; None for whatever it is for.
        class_names: Other names for its classes; empty for those in the file.

    Attributes:
        engine: "onnxruntime".
        providers: Names of ONNX Runtime's execution providers in use, the preferred one first.

    Raises:
        InputError: onnxruntime or onnx is not installed, or has no provider for the device.
        CheckpointError: No file of `yolact-ros export`, or not for the preset.
    """

    engine = "onnxruntime"

    def _open(self, device: str, precision: str) -> tuple[torch.device, Load]:
        runtime = _package()
        chosen = _resolve_device(device, runtime)

        def load(model: Any, precision: str, most: int) -> _Part:
            return _Part(runtime, model, chosen, precision, most)

        return chosen, load


class _Part:
    """A session on tensors of one device, which neither inputs nor outputs leave.

    Args:
        runtime: The module onnxruntime.
        model: With one input and outputs whose first axis alone may be dynamic, and equals the
            input's.
        device: Where it runs.
        precision: "fp32", "fp16" or "int8": its arithmetic.
        most: Length of the first axis up to which TensorRT need not build another engine.
    """

    def __init__(
        self, runtime: ModuleType, model: Any, device: torch.device, precision: str, most: int
    ) -> None:
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors; warnings are about its own choice of kernels
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that wait for the next call would burn the processor that decoding and ROS need:
        # at 30 calls a second of yolact_demo 47 ms of it a call instead of 28, for 5 % of the time.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            self._session = runtime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=_providers(runtime, device, _profile(model, most), precision),
            )
        except Exception as error:  # ONNX Runtime's own errors share no base class
            name = f"onnxruntime {runtime.__version__}"
            raise CheckpointError(f"weights: {why_refused(name, model, error)}") from error
        self.providers = self._session.get_providers()
        if device.type == "cuda" and _CUDA not in self.providers:
            raise InputError(
                f"device: expected ONNX Runtime to reach {device}, got its providers "
                f"{', '.join(self.providers)}; its messages above say why"
            )
        self._device = device
        [self._input] = self._session.get_inputs()
        self._outputs = self._session.get_outputs()

    def __call__(self, x: Tensor) -> list[Tensor]:
        binding = self._session.io_binding()
        place = (self._device.type, self._device.index or 0)
        binding.bind_input(self._input.name, *place, np.float32, tuple(x.shape), x.data_ptr())
        results = []
        for output in self._outputs:
            shape = (len(x), *output.shape[1:])
            result = torch.empty(shape, dtype=torch.float32, device=self._device)
            binding.bind_output(output.name, *place, np.float32, shape, result.data_ptr())
            results.append(result)
        if self._device.type == "cuda":
            # Its stream is not torch's: the input must be there before, and it waits for the end.
            torch.cuda.current_stream(self._device).synchronize()
        self._session.run_with_iobinding(binding)
        return results


def _profile(model: Any, most: int) -> dict[str, str]:
    """The shapes that TensorRT builds an engine for, so that no batch makes it build another."""
    [entry] = model.graph.input
    sides = [str(side) for side in fixed_shape(entry)]
    size = fixed_batch(model)
    counts = {"min": size or 1, "opt": size or 1, "max": size or most}
    return {
        f"trt_profile_{name}_shapes": f"{entry.name}:{'x'.join([str(count), *sides])}"
        for name, count in counts.items()
    }


def _providers(
    runtime: ModuleType, device: torch.device, profile: dict[str, str], precision: str
) -> list[Any]:
    """In order of preference, those that this ONNX Runtime was built with."""
    if device.type == "cpu":
        return [_CPU]
    index = {"device_id": device.index or 0}
    wanted: list[Any] = [
        # Building its engine takes minutes: once for each file.
        (_TENSORRT, {
            **index,
            **profile,
            "trt_fp16_enable": precision == "fp16",
            "trt_int8_enable": precision == "int8",
            "trt_timing_cache_enable": True,
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(user_cache() / "tensorrt"),
        }),
        (_CUDA, {**index, "use_tf32": 0}),
    ]  # fmt: skip
    present = runtime.get_available_providers()
    return [provider for provider in wanted if provider[0] in present] + [_CPU]


def _resolve_device(name: str, runtime: ModuleType) -> torch.device:
    device = resolve_device(name)
    present = runtime.get_available_providers()
    if device.type == "cpu" or _CUDA in present:
        return device
    if name == "auto":
        return torch.device("cpu")
    raise InputError(
        f"device: expected one that ONNX Runtime has a provider for, got {name!r} with "
        f"{', '.join(present)}; the package onnxruntime-gpu has {_CUDA}"
    )


def _package() -> ModuleType:
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "engine: expected the packages onnxruntime and onnx for 'onnxruntime' (the extra onnx: "
            f"pip install onnxruntime onnx), got: {error}"
        ) from error
    return onnxruntime
