# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression: the published Fast NMS, its cross-class form, and the exact one.

Two forms of each Fast NMS give the same detections: one for a single image, whose work follows the
number of candidates, and one for a batch, whose shapes do not depend on the values, so that a CUDA
graph can hold it. Equal scores are taken in the order of the candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

Kept = tuple[Tensor, Tensor, Tensor]
"""Kept pairs: candidate indices, class ids and scores, each (N,), best score first."""

PER_CLASS = 200
"""Number of best candidates that take part, per class or over all classes, as published."""


class BatchKept(NamedTuple):
    """The kept pairs of a batch in N places per image, best score first.

    Attributes:
        candidates: (B, N) int64 indices; 0 in unused places.
        class_ids: (B, N) int64; 0 in unused places.
        scores: (B, N) float32; 0 in unused places.
    """

    candidates: Tensor
    class_ids: Tensor
    scores: Tensor


def fast_nms(
    boxes: Tensor,
    class_scores: Tensor,
    iou_threshold: float,
    per_class: int = PER_CLASS,
    score_floor: float = -1.0,
) -> Kept:
    """Fast NMS within each class (YOLACT paper, section 4.2).

    Unlike in greedy NMS, a box that is itself suppressed still suppresses others: one IoU matrix
    and one maximum per column instead of a loop.

    Args:
        boxes: (N, 4) candidates in corner form.
        class_scores: (N, K) without background.
        iou_threshold: A box is dropped if its IoU with a better one of its class is above this.
        per_class: Number of best candidates of a class that take part.
        score_floor: Pairs that score this or less are left out beforehand. Which pairs are kept
            above it does not depend on it: a pair only suppresses what scores no better.

    Returns:
        The kept (candidate, class) pairs; a candidate may be kept for several classes.
    """
    taking_part = class_scores > score_floor
    counts = taking_part.sum(dim=0)
    classes = counts.nonzero()[:, 0]
    depth = min(int(counts.max()), per_class) if len(classes) else 0
    scores = class_scores.masked_fill(~taking_part, -torch.inf)[:, classes].t()
    scores, order = scores.sort(dim=1, descending=True, stable=True)  # (classes, N)
    scores, order = scores[:, :depth], order[:, :depth]
    keep = _no_better_overlap(boxes[order], iou_threshold) & (scores > score_floor)
    return _best_first(order[keep], classes[:, None].expand_as(order)[keep], scores[keep])


def cross_class_fast_nms(
    boxes: Tensor,
    class_scores: Tensor,
    iou_threshold: float,
    candidates: int = PER_CLASS,
    score_floor: float = -1.0,
) -> Kept:
    """Fast NMS over all classes at once, each candidate with its best class.

    Arguments and result are those of `fast_nms`; `candidates` is the number over all classes.
    """
    scores, classes = class_scores.max(dim=1)
    taking_part = (scores > score_floor).nonzero()[:, 0]
    scores, order = scores[taking_part].sort(descending=True, stable=True)
    scores, order = scores[:candidates], taking_part[order[:candidates]]
    keep = _no_better_overlap(boxes[order], iou_threshold)
    return order[keep], classes[order[keep]], scores[keep]


def batch_fast_nms(
    boxes: Tensor,
    class_scores: Tensor,
    iou_threshold: Tensor,
    score_floor: Tensor,
    places: int,
    per_class: int = PER_CLASS,
) -> BatchKept:
    """Fast NMS of a batch, in shapes that do not depend on the values; see `fast_nms`.

    Args:
        boxes: (B, P, 4) of all priors, in corner form.
        class_scores: (B, P, K) without background; rows of -1 for priors that take no part.
        iou_threshold: 0-dimensional float32, on the same device.
        score_floor: 0-dimensional float32 of 0 or more, on the same device.
        places: Pairs returned per image; fewer if there cannot be so many.
        per_class: Number of best candidates of a class that take part.
    """
    batch, priors, classes = class_scores.shape
    depth = min(per_class, priors)
    scores, order = top_scores(class_scores.transpose(1, 2), score_floor, depth)  # (B, K, depth)
    chosen = boxes.gather(1, order.reshape(batch, -1, 1).expand(-1, -1, 4))
    keep = _no_better_overlap(chosen.view(batch, classes, depth, 4), iou_threshold)
    scores = scores.where(keep, -1.0).view(batch, -1)
    scores, flat = top_scores(scores, score_floor, min(places, scores.shape[1]))
    found = scores > score_floor
    return BatchKept(
        candidates=order.view(batch, -1).gather(1, flat).where(found, 0),
        class_ids=(flat // depth).where(found, 0),
        scores=scores.where(found, 0.0),
    )


def batch_cross_class_fast_nms(
    boxes: Tensor,
    class_scores: Tensor,
    iou_threshold: Tensor,
    score_floor: Tensor,
    places: int,
    candidates: int = PER_CLASS,
) -> BatchKept:
    """`cross_class_fast_nms` of a batch; arguments are those of `batch_fast_nms`."""
    best, classes = class_scores.max(dim=2)
    scores, order = top_scores(best, score_floor, min(candidates, best.shape[1]))  # (B, depth)
    keep = _no_better_overlap(boxes.gather(1, order[..., None].expand(-1, -1, 4)), iou_threshold)
    scores, place = top_scores(scores.where(keep, -1.0), score_floor, min(places, scores.shape[1]))
    found = scores > score_floor
    kept = order.gather(1, place).where(found, 0)
    return BatchKept(
        candidates=kept,
        class_ids=classes.gather(1, kept).where(found, 0),
        scores=scores.where(found, 0.0),
    )


def exact_nms(
    boxes: Tensor, class_scores: Tensor, iou_threshold: float, score_floor: float
) -> Kept:
    """Greedy NMS within each class, by torchvision.

    Arguments and result are those of `fast_nms`; pairs that score `score_floor` or less are left
    out beforehand.
    """
    from torchvision.ops import batched_nms  # here, as it takes seconds and is seldom asked for

    candidates, classes = (class_scores > score_floor).nonzero(as_tuple=True)
    scores = class_scores[candidates, classes]
    kept = batched_nms(boxes[candidates], scores, classes, iou_threshold)
    return candidates[kept], classes[kept], scores[kept]


def top_scores(scores: Tensor, floor: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The best scores above a floor along the last axis; of equal ones the first comes first.

    Args:
        scores: (..., N) float32, N below 2 ** 31.
        floor: Of 0 or more.

    Returns:
        Scores and indices, (..., count); score -1 and index 0 where there are no more.
    """
    if torch.onnx.is_in_onnx_export():
        # ONNX has no shifts of signed numbers, but its TopK takes the first of equal ones itself.
        values, index = scores.where(scores > floor, -1.0).topk(count, dim=-1)
        return values, index.where(values >= 0, 0)
    # Bits of positive floats are ordered as their values, and the position makes each key unique.
    # A plain topk leaves the choice among equal scores to the device.
    last = scores.shape[-1] - 1
    backwards = last - torch.arange(last + 1, device=scores.device)
    keys = (scores.contiguous().view(torch.int32).long() << 32) | backwards
    keys = keys.where(scores > floor, -1).topk(count, dim=-1).values
    found = keys >= 0
    values = (keys >> 32).int().view(torch.float32)
    return values.where(found, -1.0), (last - (keys & 0xFFFFFFFF)).where(found, 0)


def _no_better_overlap(boxes: Tensor, iou_threshold: float | Tensor) -> Tensor:
    """(..., N, 4) boxes sorted by score to (..., N) bool: no better box overlaps by more."""
    iou = _pairwise_iou(boxes).triu_(diagonal=1)
    return (iou <= iou_threshold).all(dim=-2)


def _pairwise_iou(boxes: Tensor) -> Tensor:
    """(..., N, 4) to (..., N, N)."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    intersection = _pairwise_overlap(x1, x2).mul_(_pairwise_overlap(y1, y2))
    area = (x2 - x1) * (y2 - y1)
    return intersection / (area[..., :, None] + area[..., None, :] - intersection)


def _pairwise_overlap(start: Tensor, end: Tensor) -> Tensor:
    """Lengths (..., N, N) that intervals (..., N) share."""
    first = torch.maximum(start[..., :, None], start[..., None, :])
    return (torch.minimum(end[..., :, None], end[..., None, :]) - first).clamp_(min=0)


def _best_first(candidates: Tensor, classes: Tensor, scores: Tensor) -> Kept:
    scores, order = scores.sort(descending=True, stable=True)
    return candidates[order], classes[order], scores
