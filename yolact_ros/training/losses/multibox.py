# SPDX-License-Identifier: Apache-2.0
"""The losses of YOLACT (Bolya et al., ICCV 2019, sections 3.1 to 3.4 and 4.3) and YOLACT++."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from yolact_ros.choices import CLASS_LOSSES
from yolact_ros.errors import InputError
from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.ops.boxes import encode_boxes
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.data.target import Target

from .class_loss import focal_loss, hard_negative_loss
from .mask_iou_loss import mask_iou_loss
from .mask_loss import Positives, assemble_positives, mask_loss
from .mask_targets import covered_fraction, resize_masks
from .prior_matching import Matches, match_priors


@dataclass(frozen=True, kw_only=True)
class MultiBoxLoss:
    """Box, class, mask and semantic loss of a batch, and mask-IoU loss for YOLACT++.

        >>> from yolact_ros.network import build_network
        >>> network = build_network("yolact_demo").train()
        >>> target = Target(
        ...     boxes=torch.tensor([[0.2, 0.2, 0.6, 0.7]]),
        ...     class_ids=torch.tensor([3]),
        ...     masks=torch.ones(1, 320, 320, dtype=torch.bool),
        ... )
        >>> predictions = network(torch.zeros(1, 3, 320, 320))
        >>> sorted(MultiBoxLoss()(predictions, [target]))
        ['box', 'class', 'mask', 'semantic']

    The box, class, mask and mask-IoU terms are divided by the number of positive priors of the
    whole batch; without any (no object in any image) they are zero, with zero gradients, but see
    `least_negatives`. The semantic term is divided by the number of images. All are counted over
    all ranks of `torch.distributed`: the mean of the ranks' losses, and of their gradients, is that
    of one process with all their images. So every rank has to call the loss as often as the others.

    Crowd regions make priors neutral, and enter no other term. Samples are drawn with the global
    random generator of the predictions' device.

    Args:
        box_weight: Of the smooth L1 loss of the offsets.
        class_weight: Of the class term.
        mask_weight: Of the binary cross entropy of the assembled masks.
        semantic_weight: Of the per-pixel class loss on P3.
        mask_iou_weight: Of the mask-IoU loss.
        class_loss: "softmax", the published cross entropy over positives and hard negatives, or
            "focal", see `focal_loss`.
        focal_alpha: Weight of objects in the focal loss; background has 1 - focal_alpha.
        focal_gamma: Exponent of the focal loss.
        positive_iou: See `match_priors`.
        negative_iou: See `match_priors`.
        crowd_overlap: See `match_priors`.
        negatives_per_positive: Hard negatives taken for each positive of an image.
        least_negatives: Hard negatives taken of each image at least, so that images without objects
            teach the classes, too. 0, as published: none of those. An image with fewer positives
            than these stand for counts as if it had as many in the divisor of the class term.
            Without a meaning for the focal loss, which takes all negatives.
        max_masks: Upper limit of the positives of an image in the mask loss, chosen at random;
            their loss is scaled up accordingly. The mask-IoU loss sees the same ones. Bounds the
            memory, which grows with masks times prototype pixels.
        binary_masks: Whether the masks are resized bilinearly to the prototypes and thresholded at
            0.5, as published. Without, the fraction of a pixel that an object covers is the target,
            which places the edges of small objects between pixels.
        mask_iou_least_area: True masks with at most this many prototype pixels are left out of the
            mask-IoU loss.
        max_mask_ious: Upper limit of the masks of the batch in the mask-IoU loss, chosen at random
            and not scaled up; None for all, as published.

    Raises:
        InputError: A value is out of its range.
    """

    box_weight: float = 1.5
    class_weight: float = 1.0
    mask_weight: float = 6.125
    semantic_weight: float = 1.0
    mask_iou_weight: float = 25.0
    class_loss: str = "softmax"
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    positive_iou: float = 0.5
    negative_iou: float = 0.4
    crowd_overlap: float = 0.7
    negatives_per_positive: int = 3
    least_negatives: int = 0
    max_masks: int = 100
    binary_masks: bool = True
    mask_iou_least_area: int = 25
    max_mask_ious: int | None = None

    def __post_init__(self) -> None:
        if self.class_loss not in CLASS_LOSSES:
            raise InputError(
                f"class_loss: expected {' or '.join(CLASS_LOSSES)}, got {self.class_loss!r}"
            )
        if not (0 <= self.focal_alpha <= 1 and self.focal_gamma >= 0):
            raise InputError(
                "focal_alpha, focal_gamma: expected 0 to 1 and 0 or more, "
                f"got {self.focal_alpha} and {self.focal_gamma}"
            )
        if not 0 < self.negative_iou <= self.positive_iou <= 1:
            raise InputError(
                "negative_iou, positive_iou: expected 0 < negative_iou <= positive_iou <= 1, "
                f"got {self.negative_iou} and {self.positive_iou}"
            )
        if self.least_negatives < 0:
            raise InputError(f"least_negatives: expected 0 or more, got {self.least_negatives}")
        for name in ("max_masks", "max_mask_ious"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}: expected 1 or more, got {value}")

    def __call__(
        self,
        predictions: TrainingPredictions,
        targets: Sequence[Target],
        *,
        mask_iou_net: MaskIouNet | None = None,
    ) -> dict[str, Tensor]:
        """Compute the weighted terms.

        Args:
            predictions: Of B images.
            targets: One per image.
            mask_iou_net: Of YOLACT++; its parameters get gradients.

        Returns:
            Scalars "box", "class", "mask" and "semantic", with a mask-IoU net also "mask_iou";
            their sum is the loss.

        Raises:
            InputError: There is not one target for each image, or an image has more objects than
                there are priors.
        """
        if len(targets) != len(predictions.offsets):
            raise InputError(
                f"targets: expected one for each of {len(predictions.offsets)} images, "
                f"got {len(targets)}"
            )
        labels, matched = self.match(predictions.priors, targets)
        boxes = torch.cat([target.boxes for target in targets])  # (M, 4), of the whole batch
        class_ids = torch.cat([target.class_ids for target in targets])
        positives = _positives(labels, matched, [len(target) for target in targets])
        count, images, class_count = mean_over_ranks(
            [len(positives.priors), len(targets), self._class_count(positives.counts)],
            labels.device,
        )
        class_term = self._class_loss(predictions.class_logits, labels, positives.counts)
        sums = {
            "box": self.box_weight * _box_loss(predictions, positives, boxes),
            **self._mask_terms(
                predictions, self._sample(positives), boxes, class_ids, targets, mask_iou_net
            ),
        }
        terms = {name: value / count for name, value in sums.items()}
        terms["class"] = self.class_weight * class_term / class_count
        semantic = _semantic_loss(predictions.semantic_logits, class_ids, targets)
        terms["semantic"] = self.semantic_weight * semantic / images
        return terms

    def match(self, priors: Tensor, targets: Sequence[Target]) -> Matches:
        """Match the priors with the objects of the images under this loss's thresholds."""
        return match_priors(
            priors,
            [target.boxes for target in targets],
            [target.class_ids for target in targets],
            [target.crowd_boxes for target in targets],
            positive_iou=self.positive_iou,
            negative_iou=self.negative_iou,
            crowd_overlap=self.crowd_overlap,
        )

    def _class_loss(self, logits: Tensor, labels: Tensor, positives: list[int]) -> Tensor:
        if self.class_loss == "focal":
            return focal_loss(logits, labels, self.focal_alpha, self.focal_gamma)
        return hard_negative_loss(
            logits, labels, positives, self.negatives_per_positive, self.least_negatives
        )

    def _class_count(self, positives: list[int]) -> float:
        """The divisor of the class term: the positives, or those that the negatives stand for."""
        if self.class_loss == "focal":
            return sum(positives)
        least = self.least_negatives / self.negatives_per_positive
        return sum(max(count, least) for count in positives)

    def _mask_terms(
        self,
        predictions: TrainingPredictions,
        positives: Positives,
        boxes: Tensor,
        class_ids: Tensor,
        targets: Sequence[Target],
        mask_iou_net: MaskIouNet | None,
    ) -> dict[str, Tensor]:
        prototypes = predictions.prototypes
        size = (prototypes.shape[1], prototypes.shape[2])
        if self.binary_masks:
            truth = torch.cat([resize_masks(target.masks, size) > 0.5 for target in targets])
        else:
            truth = torch.cat([covered_fraction(target.masks, size) for target in targets])
        coefficients = _at_priors(predictions.coefficients, positives)
        masks = assemble_positives(prototypes, coefficients, positives, boxes)
        terms = {"mask": self.mask_weight * mask_loss(masks, positives, boxes, truth)}
        if mask_iou_net is not None:
            terms["mask_iou"] = self.mask_iou_weight * mask_iou_loss(
                mask_iou_net,
                masks,
                positives.objects,
                truth > 0.5,
                class_ids,
                least_area=self.mask_iou_least_area,
                max_masks=self.max_mask_ious,
            )
        return terms

    def _sample(self, positives: Positives) -> Positives:
        """Draw at most `max_masks` positives of each image; weights make up for the others."""
        if max(positives.counts) <= self.max_masks:
            return positives
        device = positives.images.device
        kept, weights, first = [], [], 0
        for count in positives.counts:
            some = torch.arange(count, device=device)
            if count > self.max_masks:
                some = torch.randperm(count, device=device)[: self.max_masks].sort().values
            kept.append(first + some)
            weights.append(torch.full((len(some),), count / max(len(some), 1), device=device))
            first += count
        chosen = torch.cat(kept)
        return Positives(
            images=positives.images[chosen],
            priors=positives.priors[chosen],
            objects=positives.objects[chosen],
            counts=[len(each) for each in kept],
            weights=torch.cat(weights),
        )


def mean_over_ranks(counts: Sequence[float], device: torch.device) -> list[float]:
    """Return the divisors of this rank's terms, so that the ranks' mean is the joined batch's.

    Args:
        counts: Of this rank.
        device: One that `torch.distributed` can use.

    Returns:
        For each count its sum over all ranks, at least 1, divided by the number of ranks.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return [max(count, 1) for count in counts]
    sums, ranks = torch.tensor(counts, dtype=torch.float32, device=device), dist.get_world_size()
    dist.all_reduce(sums)
    return [max(total, 1) / ranks for total in sums.tolist()]


def _positives(labels: Tensor, matched: Tensor, num_objects: list[int]) -> Positives:
    images, priors = (labels > 0).nonzero(as_tuple=True)
    first = torch.tensor([0, *num_objects[:-1]], device=labels.device).cumsum(dim=0)
    return Positives(
        images=images,
        priors=priors,
        objects=matched[images, priors] + first[images],
        counts=torch.bincount(images, minlength=len(labels)).tolist(),
        weights=torch.ones(len(images), device=labels.device),
    )


def _at_priors(values: Tensor, positives: Positives) -> Tensor:
    """(B, P, n) to (K, n)."""
    rows = positives.images * values.shape[1] + positives.priors
    return values.flatten(0, 1).index_select(0, rows)


def _box_loss(predictions: TrainingPredictions, positives: Positives, boxes: Tensor) -> Tensor:
    encoded = encode_boxes(boxes[positives.objects], predictions.priors[positives.priors])
    predicted = _at_priors(predictions.offsets, positives)
    return F.smooth_l1_loss(predicted, encoded.to(predicted.dtype), reduction="sum")


def _semantic_loss(logits: Tensor, class_ids: Tensor, targets: Sequence[Target]) -> Tensor:
    """Cross entropy summed over images and classes, averaged over pixels."""
    images, classes, height, width = logits.shape
    masks = torch.cat([resize_masks(target.masks, (height, width)) > 0.5 for target in targets])
    numbers = [image for image, target in enumerate(targets) for _ in range(len(target))]
    maps = torch.tensor(numbers, dtype=torch.int64, device=logits.device) * classes + class_ids
    truth = logits.new_zeros(images * classes, height, width)
    truth.index_add_(0, maps, masks.to(logits.dtype)).clamp_(max=1)  # any object of the class
    loss = F.binary_cross_entropy_with_logits(logits, truth.view_as(logits), reduction="sum")
    return loss / (height * width)
