# SPDX-License-Identifier: Apache-2.0
"""The losses of YOLACT (Bolya et al., ICCV 2019, sections 3.1 to 3.4 and 4.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from yolact_ros.data.target import Target
from yolact_ros.ops.boxes import encode_boxes
from yolact_ros.ops.masks import crop_masks
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.matching import Matches, match_priors


class MultiBoxLoss(nn.Module):
    """Box, class, mask and semantic loss of a batch.

    The box, class and mask terms are divided by the number of positive priors of the whole batch;
    without any (no object in any image) they are zero, with zero gradients. The semantic term is
    divided by the number of images. Both are counted over all ranks of `torch.distributed`: the
    mean of the ranks' losses, and of their gradients, is that of one process with all their images.
    So every rank has to call the loss as often as the others.

    Args:
        box_weight: Of the smooth L1 loss of the offsets.
        class_weight: Of the cross entropy over positives and hard negatives.
        mask_weight: Of the binary cross entropy of the assembled masks.
        semantic_weight: Of the per-pixel class loss on P3.
        positive_iou: See `match_priors`.
        negative_iou: See `match_priors`.
        crowd_overlap: See `match_priors`.
        negatives_per_positive: Hard negatives taken for each positive of an image.
        max_masks: At most so many positives of an image enter the mask loss, chosen at random;
            their loss is scaled up accordingly.
        binary_masks: Whether the masks are thresholded at 0.5 after they are resized to the
            prototypes, as published. Without, the fraction of a pixel that an object covers is the
            target, which places the edges of small objects between pixels.
    """

    def __init__(
        self,
        *,
        box_weight: float = 1.5,
        class_weight: float = 1.0,
        mask_weight: float = 6.125,
        semantic_weight: float = 1.0,
        positive_iou: float = 0.5,
        negative_iou: float = 0.4,
        crowd_overlap: float = 0.7,
        negatives_per_positive: int = 3,
        max_masks: int = 100,
        binary_masks: bool = True,
    ) -> None:
        super().__init__()
        self.box_weight = box_weight
        self.class_weight = class_weight
        self.mask_weight = mask_weight
        self.semantic_weight = semantic_weight
        self.positive_iou = positive_iou
        self.negative_iou = negative_iou
        self.crowd_overlap = crowd_overlap
        self.negatives_per_positive = negatives_per_positive
        self.max_masks = max_masks
        self.binary_masks = binary_masks

    def forward(
        self, predictions: TrainingPredictions, targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """Computes the weighted terms.

        Args:
            predictions: Of B images.
            targets: One an image.

        Returns:
            Scalars "box", "class", "mask" and "semantic"; their sum is the loss.
        """
        if len(targets) != len(predictions.offsets):
            raise ValueError(
                f"targets: expected one for each of {len(predictions.offsets)} images, "
                f"got {len(targets)}"
            )
        matches = [self.match(predictions.priors, target) for target in targets]
        labels = torch.stack([match.labels for match in matches])  # (B, P)
        positives, images = mean_over_ranks((labels > 0).sum(), len(targets))
        divisor = max(positives, 1 / world_size())
        return {
            "box": self.box_weight * self._box_loss(predictions, targets, matches) / divisor,
            "class": self.class_weight * self._class_loss(predictions, labels) / divisor,
            "mask": self.mask_weight * self._mask_loss(predictions, targets, matches) / divisor,
            "semantic": self.semantic_weight * self._semantic_loss(predictions, targets) / images,
        }

    def match(self, priors: Tensor, target: Target) -> Matches:
        """Matches the priors with the objects of one image under this loss's thresholds."""
        return match_priors(
            priors,
            target.boxes,
            target.class_ids,
            target.crowd_boxes,
            positive_iou=self.positive_iou,
            negative_iou=self.negative_iou,
            crowd_overlap=self.crowd_overlap,
        )

    def _box_loss(
        self, predictions: TrainingPredictions, targets: Sequence[Target], matches: list[Matches]
    ) -> Tensor:
        encoded, predicted = [], []
        for offsets, target, match in zip(predictions.offsets, targets, matches, strict=True):
            chosen = match.labels > 0
            predicted.append(offsets[chosen])
            boxes = target.boxes[match.objects[chosen]] if len(target) else target.boxes
            encoded.append(encode_boxes(boxes, predictions.priors[chosen]))
        return F.smooth_l1_loss(torch.cat(predicted), torch.cat(encoded), reduction="sum")

    def _class_loss(self, predictions: TrainingPredictions, labels: Tensor) -> Tensor:
        logits = predictions.class_logits
        chosen = (labels > 0) | choose_negatives(logits, labels, self.negatives_per_positive)
        return F.cross_entropy(logits[chosen], labels[chosen], reduction="sum")

    def _mask_loss(
        self, predictions: TrainingPredictions, targets: Sequence[Target], matches: list[Matches]
    ) -> Tensor:
        height, width = predictions.prototypes.shape[1:3]
        total = predictions.coefficients.sum() * 0 + predictions.prototypes.sum() * 0
        for prototypes, coefficients, target, match in zip(
            predictions.prototypes, predictions.coefficients, targets, matches, strict=True
        ):
            chosen = (match.labels > 0).nonzero()[:, 0]
            if len(chosen) == 0:
                continue
            count = len(chosen)
            if count > self.max_masks:
                shuffled = torch.randperm(count, device=chosen.device)
                chosen = chosen[shuffled[: self.max_masks]]
            if self.binary_masks:
                truth = resize_masks(target.masks, (height, width)) > 0.5
            else:
                truth = covered_fraction(target.masks, (height, width))
            truth = truth.to(prototypes.dtype)
            objects = match.objects[chosen]
            boxes = target.boxes[objects]
            logits = prototypes @ coefficients[chosen].t()  # (h, w, n)
            masks = crop_masks(torch.sigmoid(logits), boxes)
            loss = F.binary_cross_entropy(
                masks.clamp(0, 1), truth[objects].permute(1, 2, 0), reduction="none"
            ).sum(dim=(0, 1))
            sides = (boxes[:, 2:] - boxes[:, :2]) * boxes.new_tensor([width, height])
            total = total + (loss / sides[:, 0] / sides[:, 1]).sum() * (count / len(chosen))
        return total

    def _semantic_loss(self, predictions: TrainingPredictions, targets: Sequence[Target]) -> Tensor:
        logits = predictions.semantic_logits
        truth = torch.zeros_like(logits)
        for present, target in zip(truth, targets, strict=True):
            masks = (resize_masks(target.masks, logits.shape[2:]) > 0.5).to(logits.dtype)
            index = target.class_ids[:, None, None].expand_as(masks)
            present.scatter_reduce_(0, index, masks, reduce="amax")
        loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
        return loss / truth[0, 0].numel()


def choose_negatives(logits: Tensor, labels: Tensor, per_positive: int) -> Tensor:
    """Chooses the hardest background priors of each image (OHEM).

    Args:
        logits: (B, P, C) class logits, background first.
        labels: (B, P), see `Matches.labels`.
        per_positive: How many for each positive of the image.

    Returns:
        (B, P) bool. At most P - 1 an image; never a positive or neutral prior.
    """
    with torch.no_grad():
        highest = logits.max()  # of the whole batch, as published: it decides near-ties
        hardness = (logits - highest).exp().sum(dim=2).log() + highest - logits[:, :, 0]
        # Published: priors that are no candidates are ranked with 0 and dropped afterwards.
        hardness[labels != 0] = 0
        order = hardness.argsort(dim=1, descending=True)
        rank = torch.empty_like(order).scatter_(
            1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
        )
        wanted = ((labels > 0).sum(dim=1, keepdim=True) * per_positive).clamp(
            max=labels.shape[1] - 1
        )
        return (rank < wanted) & (labels == 0)


def mean_over_ranks(positives: Tensor, images: int) -> tuple[float, float]:
    """Positives and images a rank: their sums over all ranks, divided by the number of ranks."""
    counts = torch.stack([positives, positives.new_tensor(images)])
    if world_size() > 1:
        dist.all_reduce(counts)
    total = counts.tolist()
    return total[0] / world_size(), total[1] / world_size()


def world_size() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def covered_fraction(masks: Tensor, size: Sequence[int]) -> Tensor:
    """(N, H, W) to (N, h, w) float32: the part of each new pixel's area that the mask covers."""
    masks = masks.float()
    if tuple(masks.shape[1:]) == tuple(size) or len(masks) == 0:
        return masks.reshape(len(masks), *size)
    return F.interpolate(masks[None], size=tuple(size), mode="area")[0]


def resize_masks(masks: Tensor, size: Sequence[int]) -> Tensor:
    """(N, H, W) to (N, h, w) float32, bilinear, align_corners=False."""
    masks = masks.float()
    if tuple(masks.shape[1:]) == tuple(size) or len(masks) == 0:
        return masks.reshape(len(masks), *size)
    return F.interpolate(masks[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
