# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression: the published Fast NMS, its cross-class form, and the exact one."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms

Kept = tuple[Tensor, Tensor, Tensor]
"""Indices into the candidates, their class ids and scores, each (N,), best score first."""


def fast_nms(
    boxes: Tensor, class_scores: Tensor, iou_threshold: float, per_class: int = 200
) -> Kept:
    """Fast NMS, each class for itself (YOLACT paper, section 4.2).

    Unlike in greedy NMS, a box that is itself suppressed still suppresses others: one IoU matrix
    and one maximum a column instead of a loop.

    Args:
        boxes: (N, 4) candidates in corner form.
        class_scores: (N, K) without background.
        iou_threshold: A box falls if its IoU with a better one of the class is above this.
        per_class: Only so many best candidates of a class take part.

    Returns:
        The kept (candidate, class) pairs; a candidate may be kept for several classes.
    """
    scores, order = class_scores.t().sort(dim=1, descending=True)  # (K, N)
    scores, order = scores[:, :per_class], order[:, :per_class]
    keep = _no_better_overlap(boxes[order], iou_threshold)
    classes = torch.arange(len(scores), device=boxes.device)[:, None].expand_as(order)
    return _best_first(order[keep], classes[keep], scores[keep])


def cross_class_fast_nms(
    boxes: Tensor, class_scores: Tensor, iou_threshold: float, candidates: int = 200
) -> Kept:
    """Fast NMS over all classes at once; each candidate stands for its best class.

    Args and returns are those of `fast_nms`; `candidates` is the number over all classes.
    """
    scores, classes = class_scores.max(dim=1)
    scores, order = scores.sort(descending=True)
    scores, order = scores[:candidates], order[:candidates]
    keep = _no_better_overlap(boxes[order][None], iou_threshold)[0]
    return order[keep], classes[order[keep]], scores[keep]


def exact_nms(
    boxes: Tensor, class_scores: Tensor, iou_threshold: float, score_floor: float
) -> Kept:
    """Greedy NMS, each class for itself, through torchvision.

    Args and returns are those of `fast_nms`; pairs with a score of `score_floor` or less are left
    out beforehand.
    """
    candidates, classes = (class_scores > score_floor).nonzero(as_tuple=True)
    scores = class_scores[candidates, classes]
    kept = batched_nms(boxes[candidates], scores, classes, iou_threshold)
    return candidates[kept], classes[kept], scores[kept]


def _no_better_overlap(boxes: Tensor, iou_threshold: float) -> Tensor:
    """(K, N, 4) boxes sorted by score to (K, N) bool: no better box overlaps by more."""
    iou = _pairwise_iou(boxes).triu_(diagonal=1)
    return (iou <= iou_threshold).all(dim=1)


def _pairwise_iou(boxes: Tensor) -> Tensor:
    """(K, N, 4) to (K, N, N)."""
    top_left = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    bottom_right = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    intersection = (bottom_right - top_left).clamp_(min=0).prod(dim=3)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=2)
    return intersection / (area[:, :, None] + area[:, None, :] - intersection)


def _best_first(candidates: Tensor, classes: Tensor, scores: Tensor) -> Kept:
    scores, order = scores.sort(descending=True)
    return candidates[order], classes[order], scores
