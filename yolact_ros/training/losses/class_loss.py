# SPDX-License-Identifier: Apache-2.0
"""The class term: cross entropy with hard negatives, as published, or focal loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .prior_matching import BACKGROUND, NEUTRAL


def hard_negative_loss(
    logits: Tensor,
    labels: Tensor,
    positives: list[int],
    negatives_per_positive: int,
    least_negatives: int = 0,
) -> Tensor:
    """Sum the cross entropy of the positives and of the hardest background priors (OHEM).

    Args:
        logits: (B, P, C), background first.
        labels: (B, P), see `Matches.labels`.
        positives: For each image its number of positive priors.
        negatives_per_positive, least_negatives: See `choose_negatives`.

    Returns:
        The sum.
    """
    negatives, chosen = choose_negatives(
        logits, labels, positives, negatives_per_positive, least_negatives
    )
    first = torch.arange(len(labels), device=labels.device)[:, None] * labels.shape[1]
    negatives = (negatives + first).flatten()
    positive = (labels.flatten() > 0).nonzero()[:, 0]
    rows = logits.flatten(0, 1).index_select(0, torch.cat([positive, negatives]))
    truth = torch.cat(
        [
            labels.flatten().index_select(0, positive),
            torch.where(chosen.flatten(), BACKGROUND, NEUTRAL),
        ]
    )
    return F.cross_entropy(rows, truth, ignore_index=NEUTRAL, reduction="sum")


def choose_negatives(
    logits: Tensor, labels: Tensor, positives: list[int], per_positive: int, least: int = 0
) -> tuple[Tensor, Tensor]:
    """Choose the hardest background priors of each image (OHEM; SSD, section 2.2).

    The hardness is -log softmax of the background, with the highest logit of the whole batch
    subtracted, as published: it decides near-ties. (On several processes it is each one's own
    batch.)

    Args:
        logits: (B, P, C) class logits, background first.
        labels: (B, P), see `Matches.labels`.
        positives: For each image its number of positive priors.
        per_positive: How many for each positive of the image, but at most P - 1.
        least: How many at least in each image; 0, as published: none in one without positives.

    Returns:
        Priors (B, k) int64, the hardest first, different ones in each row; and which of them are
        chosen, (B, k) bool: never a positive or neutral prior.
    """
    wanted = [min(max(count * per_positive, least), labels.shape[1] - 1) for count in positives]
    with torch.no_grad():
        highest = logits.max()
        hardness = torch.empty_like(logits[:, :, 0])
        for image, row in zip(logits, hardness, strict=True):  # the whole batch: a second logits
            torch.sum((image - highest).exp_(), dim=1, out=row)
        hardness = hardness.log_().add_(highest).sub_(logits[:, :, 0])
        # Published: priors that are no candidates are ranked with 0 and dropped afterwards.
        hardness.masked_fill_(labels != BACKGROUND, 0)
        order = hardness.topk(max(wanted), dim=1).indices
        rank = torch.arange(order.shape[1], device=order.device)
        limit = torch.tensor(wanted, device=order.device)
        chosen = (rank < limit[:, None]) & (labels.gather(1, order) == BACKGROUND)
    return order, chosen


def focal_loss(logits: Tensor, labels: Tensor, alpha: float, gamma: float) -> Tensor:
    """Sum the focal loss of all priors that are not neutral (Lin et al., ICCV 2017, eq. 5).

    It is -a (1 - p)^gamma log p, p being the softmax probability of the prior's true class,
    background included, and a being alpha for objects and 1 - alpha for background. The softmax
    variant, because the network's probabilities at inference are that softmax: with a sigmoid for
    each class, as in the paper, nothing would teach the background's logit, which every score is
    divided with here, and a trained network would need another way to decode it.

    Args:
        logits: (B, P, C), background first.
        labels: (B, P), see `Matches.labels`.
        alpha: Weight of objects, in [0, 1].
        gamma: Reduces the loss of priors that are already right; 0 or more, 0: not at all.

    Returns:
        The sum.
    """
    rows, truth = logits.flatten(0, 1), labels.flatten()
    surprise = F.cross_entropy(rows, truth, ignore_index=NEUTRAL, reduction="none")
    # A certain prior has no power of zero, whose slope is infinite for gamma below 1.
    smallest = torch.finfo(surprise.dtype).tiny
    modulation = (-torch.expm1(-surprise)).clamp(min=smallest) ** gamma
    balance = torch.where(truth > BACKGROUND, alpha, 1 - alpha)
    return (balance.to(surprise.dtype) * modulation * surprise).sum()
