# SPDX-License-Identifier: Apache-2.0
"""Fast mask re-scoring (YOLACT++ paper, section 6.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from yolact_ros.inference.engines.protocol import MaskIou
from yolact_ros.ops.masks.crop import crop_masks
from yolact_ros.structures import Detections

from .options import SegmenterOptions


def rescore(
    mask_iou_net: MaskIou | None,
    prototypes: Tensor,
    detections: Detections,
    options: SegmenterOptions,
) -> tuple[Detections, Tensor | None]:
    """Predict the masks' IoU and combine it with the class scores as the options say.

    Args:
        mask_iou_net: None for a network without one.
        prototypes: (h, w, k) of the image.
        detections: N kept detections.
        options: `rescoring` and `score_threshold` apply.

    Returns:
        The detections, best score first, and their predicted mask IoU, (M,) float32; None if it was
        not predicted. M < N only if products are not above the score threshold.
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


def predict_mask_iou(mask_iou_net: MaskIou, prototypes: Tensor, detections: Detections) -> Tensor:
    """The predicted mask IoU of each detection's own class, (N,) float32, not bounded by 1."""
    if len(detections.scores) == 0:
        return detections.scores.new_zeros(0)
    return predict_mask_iou_of(
        mask_iou_net,
        prototypes[None],
        detections.coefficients[None],
        detections.boxes[None],
        detections.class_ids[None],
    )[0]


def predict_mask_iou_of(
    mask_iou_net: MaskIou,
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    class_ids: Tensor,
) -> Tensor:
    """`predict_mask_iou` of a batch: B images with N >= 1 detections each.

    Args:
        mask_iou_net: The net.
        prototypes: (B, h, w, k) float32.
        coefficients: (B, N, k) float32.
        boxes: (B, N, 4) in corner form, as fractions of the image.
        class_ids: (B, N) int64.

    Returns:
        (B, N) float32.
    """
    _, height, width, _ = prototypes.shape
    logits = prototypes.flatten(1, 2) @ coefficients.transpose(1, 2)  # (B, h * w, N)
    soft = torch.sigmoid(logits).permute(1, 0, 2).reshape(height, width, -1)  # (h, w, B * N)
    cropped = crop_masks(soft, boxes.reshape(-1, 4)).permute(2, 0, 1)[:, None]  # (B * N, 1, h, w)
    per_class = mask_iou_net(cropped).float()
    return per_class.gather(1, class_ids.reshape(-1, 1)).view(class_ids.shape)
