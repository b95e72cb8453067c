# SPDX-License-Identifier: Apache-2.0
"""The network of an exported ONNX file without its decoding, whichever engine runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from yolact_ros.checkpoints.choice import agree_on_preset
from yolact_ros.errors import InputError
from yolact_ros.network.priors import level_sizes, make_priors
from yolact_ros.presets import Preset
from yolact_ros.structures import PendingPredictions, RawPredictions

from .exported_file import (
    INPUT,
    MASK_IOU_INPUT,
    MASK_IOU_OUTPUT,
    PROTOTYPES,
    RAW_OUTPUTS,
    expect_precision,
)
from .onnx_file import (
    fixed_batch,
    fixed_shape,
    in_batches,
    only_way_to,
    read_onnx,
    require_finite,
    require_mask_iou,
)
from .protocol import MaskIou

_MOST_IMAGES = 8
"""Images in a call that engines are prepared for; more may take longer at first."""
_MASKS_OF_AN_IMAGE = 100
_DETECTED = tuple(name for name in RAW_OUTPUTS if name != PROTOTYPES)


class Part(Protocol):
    """A part of the file's graph, loaded by an engine."""

    @property
    def providers(self) -> Sequence[str]:
        """What runs it, the preferred one first."""

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Its outputs, in order, for its one input, float32 and contiguous; B is the first axis."""


Load = Callable[[Any, str, int], Part]
"""Loads an `onnx.ModelProto` with one input, in the file's precision, for calls of up to a number
of images or masks. Of the outputs' shapes the first axis alone may be dynamic."""


class CutNetwork(ABC):
    """The network of an `.onnx` file of `yolact-ros export` or `yolact-ros quantize`.

    Decoding and suppression of the file are left out, so that their options may still change: the
    graph is cut at the raw predictions, since engines compute all of it whatever outputs are asked
    for. The protonet, which an image without detections does not need, and the mask-IoU net are
    parts by themselves.

    Args:
        path: The file.
        device: Where it runs, as the engine names it.
        precision: "auto", that of the file, or one of `precisions`.
        preset: A preset or its name that the file must be for; None for whatever it is for.
        class_names: Other names for its classes; empty for those in the file.

    Attributes:
        engine: One of `yolact_ros.choices.ENGINES`.
        precisions: What the engine may compute in instead of the file's, or beside INT8.
        preset: As in the file.
        precision: "fp32", "fp16" or "int8", as in the file, or the one of `precisions` asked for in
            the place of "fp32" or "fp16". Inputs and outputs are fp32.
        device: The torch device of inputs and outputs.
        maskiou_net: Scores assembled masks (YOLACT++); None without one.
        providers: Names of what runs it, the preferred one first.

    Raises:
        InputError: The precision is none that it may have, or the engine does not run here.
        CheckpointError: No file of `yolact-ros export`, or a broken one, or not for the preset.
    """

    engine: str
    precisions: Sequence[str] = ()

    def __init__(
        self,
        path: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        preset: str | Preset | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        self.device, load = self._open(device, precision)
        from onnx.utils import Extractor

        file = read_onnx(path)
        own = file.described.precision
        expect_precision(precision, own, self.precisions)
        require_finite(file)
        self.preset = agree_on_preset(file.described.preset, file.path, preset, class_names)
        self.precision = own if precision == "auto" or own == "int8" else precision
        self._size = fixed_batch(file.model)
        cut = Extractor(file.model)
        features = only_way_to(PROTOTYPES, _DETECTED, file.model)
        first = cut.extract_model([INPUT], [*_DETECTED, features or PROTOTYPES])
        self._first = load(first, own, _MOST_IMAGES)
        self._protonet: Part | None = None
        if features is not None:
            protonet = cut.extract_model([features], [PROTOTYPES])
            self._protonet = load(protonet, own, _MOST_IMAGES)
            self._prototypes_shape = fixed_shape(protonet.graph.output[0])
        self.providers = tuple(self._first.providers)
        self.maskiou_net: MaskIou | None = None
        if self.preset.mask_iou:
            require_mask_iou(file)
            mask_iou = cut.extract_model([MASK_IOU_INPUT], [MASK_IOU_OUTPUT])
            net = load(mask_iou, own, _MOST_IMAGES * _MASKS_OF_AN_IMAGE)
            self.maskiou_net = lambda masks: net(masks.float().contiguous())[0]
        side = (self.preset.input_size, self.preset.input_size)
        cells = level_sizes(side, len(self.preset.prior_sizes))
        self._priors = make_priors(self.preset, side, cells).to(self.device)

    @abstractmethod
    def _open(self, device: str, precision: str) -> tuple[torch.device, Load]:
        """Find the engine's package and where inputs and outputs are; say how a part is loaded."""

    def __call__(self, x: Tensor) -> RawPredictions:
        """Run all of the network; the argument is that of `start`."""
        offsets, class_scores, coefficients, last = self._run_first(x)
        [prototypes] = [last] if self._protonet is None else self._in_calls(self._protonet, last)
        return RawPredictions(offsets, class_scores, coefficients, prototypes, self._priors)

    def start(self, x: Tensor) -> PendingPredictions:
        """Run the network but for its prototypes, where these are a part by themselves.

        Args:
            x: (B, 3, S, S) normalised RGB on the device; S is the preset's input size.

        Returns:
            The prototypes of images without detections are zeros then, and those of all others the
            whole image's.
        """
        offsets, class_scores, coefficients, last = self._run_first(x)

        def prototypes(boxes: Sequence[Tensor]) -> list[Tensor]:
            if self._protonet is None:
                return list(last)
            wanted = [i for i, of_image in enumerate(boxes) if len(of_image)]
            made = [last.new_zeros(self._prototypes_shape)] * len(boxes)
            if wanted:
                some = last if len(wanted) == len(boxes) else last[wanted]
                [values] = self._in_calls(self._protonet, some)
                for i, value in zip(wanted, values, strict=True):
                    made[i] = value
            return made

        return PendingPredictions(offsets, class_scores, coefficients, prototypes, self._priors)

    def _run_first(self, x: Tensor) -> list[Tensor]:
        """Return what is decoded, and last the protonet's input, or the prototypes."""
        side = self.preset.input_size
        if x.shape[1:] != (3, side, side):
            raise InputError(f"input: expected (B, 3, {side}, {side}), got {tuple(x.shape)}")
        return self._in_calls(self._first, x.float())

    def _in_calls(self, part: Part, x: Tensor) -> list[Tensor]:
        """Run a part on any number of images, whatever number the file takes at once."""
        x = x.contiguous()
        if self._size is None or len(x) == self._size:
            return part(x)
        return in_batches(part, x, self._size)
