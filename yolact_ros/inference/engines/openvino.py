# SPDX-License-Identifier: Apache-2.0
"""An exported network in OpenVINO, in the place of the torch one."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from yolact_ros.checkpoints import CheckpointError
from yolact_ros.errors import InputError

from .cut_network import CutNetwork, Load
from .onnx_file import fixed_shape, why_refused

_PRECISION = "INFERENCE_PRECISION_HINT"


class OpenVinoNetwork(CutNetwork):
    """The network of an `.onnx` file in OpenVINO, on the CPU; see `CutNetwork`.

    Args:
        path: The file.
        device: "auto" or "cpu". It takes as many threads as torch has when this is called.
        precision: "auto", that of the file, or "bf16": what is not in INT8 computes in bf16. Unless
            asked to, OpenVINO rounds nothing, whatever the processor has.
        preset: A preset or its name that the file must be for; None for whatever it is for.
        class_names: Other names for its classes; empty for those in the file.

    Attributes:
        engine: "openvino".
        providers: Names of OpenVINO's devices in use.

    Raises:
        InputError: openvino or onnx is not installed, the device is no CPU, or OpenVINO has no bf16
            on this one.
        CheckpointError: No file of `yolact-ros export`, or not for the preset.
    """

    engine = "openvino"
    precisions = ("bf16",)

    def _open(self, device: str, precision: str) -> tuple[torch.device, Load]:
        openvino = _package()
        if device not in ("auto", "cpu"):
            raise InputError(f"device: expected auto or cpu for 'openvino', got {device!r}")
        core = openvino.Core()
        core.add_extension(
            openvino.frontend.onnx.ConversionExtension("DeformConv", _deformable_convolution)
        )
        hint = "bf16" if precision == "bf16" else "f32"

        def load(model: Any, precision: str, most: int) -> _Part:
            return _Part(openvino, core, model, hint)

        return torch.device("cpu"), load


class _Part:
    """A compiled model that reads and writes the memory of torch's tensors.

    Args:
        openvino: The module.
        core: With what the model needs beyond ONNX's own operators.
        model: With one input and outputs whose first axis alone may be dynamic, and equals
            the input's.
        hint: OpenVINO's name of the arithmetic.
    """

    def __init__(self, openvino: ModuleType, core: Any, model: Any, hint: str) -> None:
        how = {
            _PRECISION: hint,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            # Two processes would bind their threads to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", how)
        except RuntimeError as error:
            name = f"openvino {openvino.__version__}"
            raise CheckpointError(f"weights: {why_refused(name, model, error)}") from error
        if hint == "bf16" and compiled.get_property(_PRECISION) != openvino.Type.bf16:
            raise InputError(
                "precision: expected fp32 or auto, as OpenVINO has no bf16 on this "
                "processor, got 'bf16'"
            )
        self.providers = tuple(compiled.get_property("EXECUTION_DEVICES"))
        self._request = compiled.create_infer_request()
        self._tensor = openvino.Tensor
        self._shapes = [fixed_shape(output) for output in model.graph.output]

    def __call__(self, x: Tensor) -> list[Tensor]:
        results = [torch.empty((len(x), *shape)) for shape in self._shapes]
        self._request.set_input_tensor(self._tensor(x.numpy(), shared_memory=True))
        for number, result in enumerate(results):
            self._request.set_output_tensor(
                number, self._tensor(result.numpy(), shared_memory=True)
            )
        self._request.infer()
        return results


def _deformable_convolution(node: Any) -> Any:
    """Convert the operator of YOLACT++, which OpenVINO has but does not read from ONNX."""
    from openvino import opset8 as opset

    x, weight, offsets, bias, mask = map(node.get_input, range(5))
    pads = node.get_attribute("pads")
    convolved = opset.deformable_convolution(
        x,
        offsets,
        weight,
        node.get_attribute("strides"),
        pads[: len(pads) // 2],
        pads[len(pads) // 2 :],
        node.get_attribute("dilations"),
        mask,
        group=node.get_attribute("group"),
        deformable_group=node.get_attribute("offset_group"),
        bilinear_interpolation_pad=True,
    )
    shape = np.array([1, -1, 1, 1])
    return opset.add(convolved, opset.reshape(bias, shape, special_zero=False)).outputs()


def _package() -> ModuleType:
    try:
        import onnx  # noqa: F401
        import openvino.frontend.onnx
    except ImportError as error:
        raise InputError(
            "engine: expected the packages openvino and onnx for 'openvino' (the extra openvino: "
            f"pip install openvino onnx), got: {error}"
        ) from error
    return openvino
