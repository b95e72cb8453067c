# SPDX-License-Identifier: Apache-2.0
"""The mask-IoU term of YOLACT++ (Bolya et al., TPAMI 2020, section "Fast mask re-scoring")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from yolact_ros.network.mask_iou import MaskIouNet


def mask_iou_loss(
    net: MaskIouNet,
    masks: Tensor,
    objects: Tensor,
    truth: Tensor,
    class_ids: Tensor,
    *,
    least_area: int = 25,
    max_masks: int | None = None,
) -> Tensor:
    """Smooth L1 between the predicted and the true overlap of assembled masks with true masks.

    The true overlap is that of the mask above 0.5; the net sees the soft mask, and its gradient
    reaches prototypes and coefficients, as published. Without any mask the term is zero and so are
    the net's gradients (they exist, as distributed training requires).

    Args:
        net: Predicts the overlaps.
        masks: (K, h, w) soft and cropped, see `assemble_positives`.
        objects: (K,) int64 index of the object of each mask.
        truth: (M, h, w) bool, of the objects of the whole batch.
        class_ids: (M,) int64, background not counted.
        least_area: True masks with at most this many pixels are left out.
        max_masks: Upper limit of the number of masks, chosen at random; None for all.

    Returns:
        The sum over the masks.
    """
    large = truth.flatten(1).sum(dim=1) > least_area
    chosen = large[objects].nonzero()[:, 0]
    if max_masks is not None and len(chosen) > max_masks:
        shuffled = torch.randperm(len(chosen), device=chosen.device)
        chosen = chosen[shuffled[:max_masks].sort().values]
    masks, objects = masks[chosen], objects[chosen]
    predicted = net(masks[:, None]).gather(1, class_ids[objects][:, None])[:, 0]
    found, true = masks > 0.5, truth[objects]
    overlap = (found & true).sum(dim=(1, 2)) / (found | true).sum(dim=(1, 2))
    return F.smooth_l1_loss(predicted, overlap.to(predicted.dtype), reduction="sum")
