# SPDX-License-Identifier: Apache-2.0
"""The part of a call whose shapes depend on the frames' sizes alone: what a CUDA graph holds."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from yolact_ros.inference.engines.protocol import RawNetwork
from yolact_ros.inference.path import Batch
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.inference.timing import Marks

from .decode import detect_batch

GRAPHED = ("preprocess", "network", "decode")
"""The stages that it consists of."""


class StepOutput(NamedTuple):
    """What a step gives, for B images with N places each.

    Attributes:
        prototypes: (B, h, w, k) float32.
        coefficients: (B, N, k) float32.
        boxes: (B, N, 4) float32, NaN in unused places, which makes no mask.
        summary: (B, N, 7), see `BatchDetections.summary`.
    """

    prototypes: Tensor
    coefficients: Tensor
    boxes: Tensor
    summary: Tensor


class BatchStep:
    """Everything from frames on the device to kept detections, run on tensors that stay in place.

    Args:
        network: In evaluation mode.
        preprocessor: Of the network.
        batch: What decides on shapes: sizes, channel orders and some options. Images are read from
            `frames`, the other options from `limits`.
        device: Where it runs.

    Attributes:
        frames: (bytes of all frames,) uint8: write them here, one behind the other.
        limits: As `limits_of` gives it: write changed options here.
        marks: Ends of the stages.
    """

    def __init__(
        self,
        network: RawNetwork,
        preprocessor: Preprocessor,
        batch: Batch,
        device: torch.device,
    ) -> None:
        lengths = [3 * height * width for height, width in batch.sizes]
        self.frames = torch.zeros(sum(lengths), dtype=torch.uint8, device=device)
        self.limits = torch.zeros(2 + network.preset.num_classes - 1, device=device)
        self.marks = Marks(device, GRAPHED)
        self._network = network
        self._preprocessor = preprocessor
        self._options = batch.options
        self._resizes = preprocessor.resizes(batch.sizes, batch.channel_orders)
        self._views = [
            part.view(*size, 3)
            for part, size in zip(self.frames.split(lengths), batch.sizes, strict=True)
        ]

    def __call__(self) -> StepOutput:
        """Run it on what `frames` and `limits` hold."""
        x = self._preprocessor.prepare(self._views, self._resizes)
        self.marks.record("preprocess")
        predictions = self._network(x)
        self.marks.record("network")
        found = detect_batch(predictions, self.limits, self._options, self._network.maskiou_net)
        output = StepOutput(
            prototypes=predictions.prototypes.float(),
            coefficients=found.coefficients,
            boxes=found.boxes.where((found.scores > 0)[..., None], torch.nan),
            summary=found.summary(),
        )
        self.marks.record("decode")
        return output
