# SPDX-License-Identifier: Apache-2.0
"""The network with decoding and suppression as one module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from yolact_ros.errors import InputError
from yolact_ros.inference.engines.exported_file import (
    DECODED_OUTPUTS,
    MASK_IOU_INPUT,
    MASK_IOU_OUTPUT,
    MASK_SCORES,
    PRIORS,
    RAW_OUTPUTS,
    ExportedFile,
)
from yolact_ros.inference.gpu.decode import BATCH_NMS_KINDS, detect_batch, limits_of
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.precision import resolve_precision
from yolact_ros.network import Yolact
from yolact_ros.network.folding import fold_batch_norms
from yolact_ros.presets import Preset
from yolact_ros.structures import RawPredictions


class ExportedNetwork(nn.Module):
    """From normalised images to raw predictions and, unless only these are wanted, to detections.

    Args:
        network: A copy of it is used, with its batch norms folded.
        options: Which detections are kept; they become constants. None: raw predictions only.
        precision: Arithmetic of the network, "fp32" or "fp16".
        batch: Number of images that the file is for; None for any.
        cut_at_mask_iou: Whether to return input and output of the mask-IoU net, too, under the
            names `MASK_IOU_INPUT` and `MASK_IOU_OUTPUT`.

    Attributes:
        file: The metadata for the file.
        dynamic_shapes: Which axes of the input are dynamic, as `torch.export` takes it.

    Raises:
        InputError: A kind of suppression that cannot be exported, or an unknown class.
    """

    limits: Tensor

    def __init__(
        self,
        network: Yolact,
        options: SegmenterOptions | None,
        precision: str,
        *,
        batch: int | None = None,
        cut_at_mask_iou: bool = False,
    ) -> None:
        super().__init__()
        preset = network.preset
        self.file = ExportedFile(preset, precision, options)
        self._dtype = resolve_precision(precision, torch.device("cpu")).dtype
        self._cut = cut_at_mask_iou
        self._network = fold_batch_norms(network).to("cpu", self._dtype)
        self.dynamic_shapes: Any = None if batch else ({0: torch.export.Dim("batch", min=1)},)
        if options is not None:
            self.register_buffer("limits", _limits(options, preset))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network, decoding and suppression.

        Args:
            images: (B, 3, S, S) float32 normalised RGB.

        Returns:
            By name: the fields of `RawPredictions`, in float32; unless these are all, `boxes`,
            `scores`, `class_ids` and `detection_coefficients` as in `BatchDetections`, and with a
            mask-IoU net that is used `mask_scores`.
        """
        raw = self._network(images.to(self._dtype))
        raw = type(raw)(*(values.float() for values in raw))
        outputs = {name: getattr(raw, name) for name in (*RAW_OUTPUTS, PRIORS)}
        options = self.file.options
        if options is None:
            # OpenCV has no outputs that are constants.
            return outputs | {PRIORS: raw.priors + 0 * images[0, 0, :1, :1]}
        return outputs | self._detect(raw, options)

    def _detect(self, raw: RawPredictions, options: SegmenterOptions) -> dict[str, Tensor]:
        net, passed = self._network.maskiou_net, {}

        def score(masks: Tensor) -> Tensor:
            assert net is not None
            passed[MASK_IOU_INPUT], passed[MASK_IOU_OUTPUT] = masks, net(masks).float()
            return passed[MASK_IOU_OUTPUT]

        found = detect_batch(raw, self.limits, options, None if net is None else score)
        decoded = (found.boxes, found.scores, found.class_ids, found.coefficients)
        outputs = dict(zip(DECODED_OUTPUTS, decoded, strict=True))
        if found.mask_scores is not None:
            outputs[MASK_SCORES] = found.mask_scores
        return outputs | (passed if self._cut else {})


def _limits(options: SegmenterOptions, preset: Preset) -> Tensor:
    if options.nms not in BATCH_NMS_KINDS:
        raise InputError(
            f"nms: expected one of {', '.join(BATCH_NMS_KINDS)} in an exported file, "
            f"got {options.nms!r}"
        )
    class_ids = options.class_ids(preset.class_names)
    return limits_of(options, class_ids, len(preset.class_names), torch.device("cpu"))
