# SPDX-License-Identifier: Apache-2.0
"""The network with decoding and suppression as one module."""

from __future__ import annotations

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


class ExportedNetwork(nn.Module):
    """From normalised images to raw predictions and to kept detections.

    Args:
        network: A copy of it is used, with its batch norms folded.
        options: Which detections are kept; they become constants.
        precision: Arithmetic of the network, "fp32" or "fp16".
        cut_at_mask_iou: Whether to return input and output of the mask-IoU net, too, under the
            names `MASK_IOU_INPUT` and `MASK_IOU_OUTPUT`.

    Attributes:
        file: The metadata for the file.

    Raises:
        InputError: A kind of suppression that cannot be exported, or an unknown class.
    """

    limits: Tensor

    def __init__(
        self,
        network: Yolact,
        options: SegmenterOptions,
        precision: str,
        *,
        cut_at_mask_iou: bool = False,
    ) -> None:
        super().__init__()
        if options.nms not in BATCH_NMS_KINDS:
            raise InputError(
                f"nms: expected one of {', '.join(BATCH_NMS_KINDS)} in an exported file, "
                f"got {options.nms!r}"
            )
        preset = network.preset
        class_ids = options.class_ids(preset.class_names)
        self.file = ExportedFile(preset, precision, options)
        self._dtype = resolve_precision(precision, torch.device("cpu")).dtype
        self._cut = cut_at_mask_iou
        self._network = fold_batch_norms(network).to("cpu", self._dtype)
        limits = limits_of(options, class_ids, len(preset.class_names), torch.device("cpu"))
        self.register_buffer("limits", limits)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network, decoding and suppression.

        Args:
            images: (B, 3, S, S) float32 normalised RGB.

        Returns:
            By name: the fields of `RawPredictions`, in float32; `boxes`, `scores`, `class_ids` and
            `detection_coefficients` as in `BatchDetections`, and with a mask-IoU net that is used
            `mask_scores`.
        """
        raw = self._network(images.to(self._dtype))
        raw = type(raw)(*(values.float() for values in raw))
        net, passed = self._network.maskiou_net, {}

        def score(masks: Tensor) -> Tensor:
            assert net is not None
            passed[MASK_IOU_INPUT], passed[MASK_IOU_OUTPUT] = masks, net(masks).float()
            return passed[MASK_IOU_OUTPUT]

        options = self.file.options
        found = detect_batch(raw, self.limits, options, None if net is None else score)
        outputs = {name: getattr(raw, name) for name in (*RAW_OUTPUTS, PRIORS)}
        decoded = (found.boxes, found.scores, found.class_ids, found.coefficients)
        outputs |= dict(zip(DECODED_OUTPUTS, decoded, strict=True))
        if found.mask_scores is not None:
            outputs[MASK_SCORES] = found.mask_scores
        return outputs | (passed if self._cut else {})
