# SPDX-License-Identifier: Apache-2.0
"""Fast mask re-scoring (YOLACT++ paper, section 6.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.ops.masks import crop_masks
from yolact_ros.structures import Detections

from .options import SegmenterOptions


def rescore(
    mask_iou_net: MaskIouNet | None,
    prototypes: Tensor,
    detections: Detections,
    options: SegmenterOptions,
) -> tuple[Detections, Tensor | None]:
    """Predicts the masks' IoU and combines it with the class scores as the options say.

    Args:
        mask_iou_net: None for a network without one.
        prototypes: (h, w, k) of the image.
        detections: N kept detections.
        options: `rescoring` and `score_threshold` apply.

    Returns:
        The detections, best score first, and their predicted mask IoU, (M,) float32; None if it was
        not predicted. M < N only if products fall to the score threshold or below.
    """
    if mask_iou_net is None or options.rescoring == "class":
        return detections, None
    mask_scores = predict_mask_iou(mask_iou_net, prototypes, detections)
    if options.rescoring == "published":
        return detections, mask_scores
    products, order = (detections.scores * mask_scores).sort(descending=True, stable=True)
    order = order[products > options.score_threshold]
    kept = Detections(*(values[order] for values in detections))
    return kept._replace(scores=products[: len(order)]), mask_scores[order]


def predict_mask_iou(
    mask_iou_net: MaskIouNet, prototypes: Tensor, detections: Detections
) -> Tensor:
    """The predicted mask IoU of each detection's own class, (N,) float32, not bounded by 1."""
    if len(detections.scores) == 0:
        return detections.scores.new_zeros(0)
    return predict_mask_iou_of(
        mask_iou_net,
        prototypes,
        detections.coefficients,
        detections.boxes,
        detections.class_ids,
    )


def predict_mask_iou_of(
    mask_iou_net: MaskIouNet,
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    class_ids: Tensor,
) -> Tensor:
    """As `predict_mask_iou`, of N >= 1 detections given by their parts, in fixed shapes.

    Args:
        mask_iou_net: The net.
        prototypes: (h, w, k) of the image, float32.
        coefficients: (N, k) float32.
        boxes: (N, 4) in corner form, as fractions of the image.
        class_ids: (N,) int64.
    """
    soft = torch.sigmoid(prototypes @ coefficients.t())
    cropped = crop_masks(soft, boxes).permute(2, 0, 1)[:, None]  # (N, 1, h, w)
    dtype = next(mask_iou_net.parameters()).dtype
    per_class = mask_iou_net(cropped.to(dtype)).float()
    return per_class.gather(1, class_ids[:, None])[:, 0]
