# SPDX-License-Identifier: Apache-2.0
"""The mask-IoU term of YOLACT++ (Bolya et al., TPAMI 2020, section "Fast mask re-scoring")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from yolact_ros.network.mask_iou import MaskIouNet

from .mask_loss import Crops, Positives


def mask_iou_loss(
    net: MaskIouNet,
    prototypes: Tensor,
    coefficients: Tensor,
    positives: Positives,
    crops: Crops,
    truth: Tensor,
    class_ids: Tensor,
    *,
    least_area: int = 25,
    max_masks: int | None = None,
) -> Tensor:
    """Smooth L1 between the predicted and the true overlap of assembled masks with true masks.

    The true overlap is that of the cropped mask above 0.5; the net sees the soft mask and its
    gradient goes on into prototypes and coefficients, as published. Without any mask the term is
    zero and so are the net's gradients (they exist, which distributed training asks for).

    Args:
        net: Predicts the overlaps.
        prototypes: (B, h, w, k).
        coefficients: (K, k) of the positives.
        positives: Image and object of each one; the weights do not count here.
        crops: Of the M objects of the batch.
        truth: (M, h, w) bool.
        class_ids: (M,) int64, background not counted.
        least_area: True masks of at most so many pixels are left out.
        max_masks: At most so many enter, chosen at random; None for all.

    Returns:
        The sum over the masks.
    """
    large = truth.flatten(1).sum(dim=1) > least_area
    chosen = large[positives.objects].nonzero()[:, 0]
    if max_masks is not None and len(chosen) > max_masks:
        shuffled = torch.randperm(len(chosen), device=chosen.device)
        chosen = chosen[shuffled[:max_masks].sort().values]
    objects = positives.objects[chosen]
    coefficients = coefficients.index_select(0, chosen)
    counts = torch.bincount(positives.images[chosen], minlength=len(prototypes)).tolist()
    masks = []
    true_iou = []
    for image, each, index in zip(
        prototypes, coefficients.split(counts), objects.split(counts), strict=True
    ):
        soft = (each @ image.flatten(0, 1).t()).sigmoid().unflatten(1, image.shape[:2])
        inside = crops.rows[index][:, :, None] & crops.columns[index][:, None]
        soft = soft * inside
        masks.append(soft)
        true_iou.append(_overlap(soft.detach() > 0.5, truth[index]))
    dtype = next(net.parameters()).dtype
    predicted = net(torch.cat(masks)[:, None].to(dtype)).to(prototypes.dtype)  # (n, C - 1)
    predicted = predicted.gather(1, class_ids[objects][:, None])[:, 0]
    wanted = torch.cat(true_iou).to(predicted.dtype)
    return F.smooth_l1_loss(predicted, wanted, reduction="sum")


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    """IoU of (n, h, w) bool masks, of which at least one has pixels."""
    both = (one & other).flatten(1).sum(dim=1)
    return both / (one | other).flatten(1).sum(dim=1)
