# SPDX-License-Identifier: Apache-2.0
"""The part of a call whose shapes depend on neither images nor detections: what a graph holds."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from yolact_ros.inference.engines.protocol import RawNetwork
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.timing import Marks
from yolact_ros.ops.masks import MaskSteps, assemble_batch

from .block import join_block
from .decode import detect_batch

CANDIDATES = 2048
"""Candidates of an image that there is room for, to begin with; see `detect_batch`."""
MASK_ROOM = 1 << 20
"""Bytes of an image's masks that there is room for, to begin with: 100 boxes of 8 % at 720p."""


class StepOutput(NamedTuple):
    """What a step gives, for B images with N places each.

    Attributes:
        prototypes: (B, h, w, k) float32.
        coefficients: (B, N, k) float32.
        boxes: (B, N, 4) float32, NaN in unused places, which makes no mask.
        block: (bytes,) uint8 that the host wants; see `yolact_ros.inference.gpu.block`.
    """

    prototypes: Tensor
    coefficients: Tensor
    boxes: Tensor
    block: Tensor


class BatchStep:
    """Network, decoding and masks of a batch, run on tensors that stay in place.

    Args:
        network: In evaluation mode.
        images: Images B in the batch.
        input_size: (height, width) of the network's input.
        dtype: Of the network's input.
        device: Where it runs.
        options: `nms`, `max_instances` and `rescoring` apply; the others come from `limits`.
        mask_steps: How masks are computed; None to leave them out.

    Attributes:
        x: (B, 3, h, w) of the network's type, channels last: write the resized images here.
        sizes: (B, 2) int32: write the images' height and width in pixels here.
        limits: As `limits_of` gives it: write changed options here.
        options: As given.
        classes: Classes without background.
        marks: Ends of the stages.
        candidates: Candidates of an image that there is room for, or None for all priors.
        mask_room: Bytes of the batch's masks that there is room for.
    """

    def __init__(
        self,
        network: RawNetwork,
        images: int,
        input_size: tuple[int, int],
        dtype: torch.dtype,
        device: torch.device,
        options: SegmenterOptions,
        mask_steps: MaskSteps | None,
    ) -> None:
        self.x = torch.zeros((images, 3, *input_size), dtype=dtype, device=device)
        self.x = self.x.to(memory_format=torch.channels_last)
        self.sizes = torch.ones((images, 2), dtype=torch.int32, device=device)
        self.options = options
        self.classes = network.preset.num_classes - 1
        self.limits = torch.zeros(3 + self.classes, device=device)
        graphed = ("network", "decode", "masks") if mask_steps else ("network", "decode")
        self.marks = Marks(device, graphed)
        self.candidates: int | None = CANDIDATES
        self.mask_room = MASK_ROOM * images
        self._network = network
        self._mask_steps = mask_steps

    @property
    def makes_masks(self) -> bool:
        """Whether masks are among what it computes."""
        return self._mask_steps is not None

    def __call__(self) -> StepOutput:
        """Run it on what `x`, `sizes` and `limits` hold."""
        predictions = self._network(self.x)
        self.marks.record("network")
        net = self._network.maskiou_net
        found = detect_batch(predictions, self.limits, self.options, net, self.candidates)
        prototypes = predictions.prototypes.float()
        boxes = found.boxes.where((found.scores > 0)[..., None], torch.nan)
        summary = found.summary()
        self.marks.record("decode")
        masks = None
        if self._mask_steps is not None:
            parts = (prototypes, found.coefficients, boxes, self.sizes)
            masks = assemble_batch(*parts, self._mask_steps, self.mask_room)
        block = join_block(found.candidates, summary, masks)
        if masks is not None:
            self.marks.record("masks")
        return StepOutput(prototypes, found.coefficients, boxes, block)
