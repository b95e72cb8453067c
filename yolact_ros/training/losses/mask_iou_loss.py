# SPDX-License-Identifier: Apache-2.0
"""The mask-IoU term of YOLACT++ (Bolya et al., TPAMI 2020, section "Fast mask re-scoring")."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from yolact_ros.network.mask_iou import MaskIouNet

from .mask_loss import Crops, Positives, slices_of_masks


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
    images = positives.images[chosen]
    positives = Positives(
        images=images,
        priors=positives.priors[chosen],
        objects=positives.objects[chosen],
        counts=torch.bincount(images, minlength=len(prototypes)).tolist(),
        weights=positives.weights[chosen],
    )
    coefficients = coefficients.index_select(0, chosen)
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    loss: Tensor = _OverlapLoss.apply(
        net, positives, crops, truth, class_ids, prototypes, coefficients, *parameters
    )
    return loss


class _OverlapLoss(torch.autograd.Function):
    """The sum, a few masks at a time. Its gradient is computed along, so that neither masks nor
    the net's feature maps are kept for it."""

    @staticmethod
    def forward(
        ctx: Any,
        net: MaskIouNet,
        positives: Positives,
        crops: Crops,
        truth: Tensor,
        class_ids: Tensor,
        prototypes: Tensor,
        coefficients: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        with_gradient = any(ctx.needs_input_grad)
        inputs = (prototypes, coefficients, *parameters) if with_gradient else ()
        gradients = [torch.zeros_like(value) for value in inputs]
        total = prototypes.new_zeros(())
        for image, part in slices_of_masks(positives.counts, crops):
            objects = positives.objects[part]
            with torch.set_grad_enabled(with_gradient):
                patch = prototypes[image].detach().requires_grad_(with_gradient)
                each = coefficients[part].detach().requires_grad_(with_gradient)
                soft = (each @ patch.flatten(0, 1).t()).sigmoid().unflatten(1, patch.shape[:2])
                inside = crops.rows[objects][:, :, None] & crops.columns[objects][:, None]
                soft = soft * inside
                predicted = net(soft[:, None]).gather(1, class_ids[objects][:, None])[:, 0]
                overlap = _overlap(soft.detach() > 0.5, truth[objects]).to(predicted.dtype)
                loss = F.smooth_l1_loss(predicted, overlap, reduction="sum")
            total += loss.detach()
            if with_gradient:
                found = torch.autograd.grad(loss, [patch, each, *parameters])
                gradients[0][image] += found[0]
                gradients[1][part] = found[1]
                for gradient, more in zip(gradients[2:], found[2:], strict=True):
                    gradient += more
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return (*[None] * 5, *(outer * gradient for gradient in ctx.saved_tensors))


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    """IoU of (n, h, w) bool masks, of which at least one has pixels."""
    both = (one & other).flatten(1).sum(dim=1)
    return both / (one | other).flatten(1).sum(dim=1)
