# SPDX-License-Identifier: Apache-2.0
"""Matches priors with objects.

The rule is SSD's (Liu et al., ECCV 2016, section 2.2) with YOLACT's thresholds and crowd regions:
every object gets the prior that overlaps it most, then every other prior that overlaps an object
enough is matched with it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou

from yolact_ros.errors import InputError
from yolact_ros.ops.boxes import center_to_corners

NEUTRAL = -1
"""Label of a prior that counts neither as object nor as background."""
BACKGROUND = 0

_GIVEN = 2.0  # above every IoU
_EXCLUDED = -1.0  # below every IoU


class Matches(NamedTuple):
    """One entry for each of the P priors of B images.

    Attributes:
        labels: (B, P) int64: -1 neutral, 0 background, class id + 1 for an object.
        objects: (B, P) int64 index, within its image, of the object that the prior overlaps most or
            was given; 0 where there is none.
    """

    labels: Tensor
    objects: Tensor


def match_priors(
    priors: Tensor,
    boxes: Sequence[Tensor],
    class_ids: Sequence[Tensor],
    crowd_boxes: Sequence[Tensor],
    *,
    positive_iou: float = 0.5,
    negative_iou: float = 0.4,
    crowd_overlap: float = 0.7,
) -> Matches:
    """Match the priors with the objects of each of B images.

    Args:
        priors: (P, 4) cx, cy, w, h as fractions of the image.
        boxes: For each image (N, 4) x1, y1, x2, y2 of its objects; N may be 0, at most P.
        class_ids: For each image (N,) int64, background not counted.
        crowd_boxes: For each image (M, 4); M may be 0.
        positive_iou: A prior with at least this IoU is matched with the object.
        negative_iou: A prior with less is background; between the two it is neutral.
        crowd_overlap: A prior that is not positive and lies in one crowd region with more than
            this fraction of its area is neutral.

    Raises:
        InputError: An image has more objects than there are priors.
    """
    corners = center_to_corners(priors)
    labels = torch.full(
        (len(boxes), len(priors)), BACKGROUND, dtype=torch.int64, device=priors.device
    )
    objects = torch.zeros_like(labels)
    for image, (own, ids, crowds) in enumerate(zip(boxes, class_ids, crowd_boxes, strict=True)):
        if len(own):
            iou = box_iou(own, corners)  # (N, P)
            best, objects[image] = iou.max(dim=0)
            given = assign_each_object(iou)
            best[given] = _GIVEN
            objects[image, given] = torch.arange(len(own), device=priors.device)
            label = ids[objects[image]] + 1
            label.masked_fill_(best < positive_iou, NEUTRAL)
            labels[image] = label.masked_fill_(best < negative_iou, BACKGROUND)
        if len(crowds):
            inside = (_covered_fraction(corners, crowds) > crowd_overlap).any(dim=0)
            labels[image].masked_fill_(inside & (labels[image] <= 0), NEUTRAL)
    return Matches(labels, objects)


def assign_each_object(iou: Tensor) -> Tensor:
    """Give each object a prior of its own: greedily, the pair with the highest IoU first.

    Of equal pairs the one with the first object, then with the first prior is taken, as published.

    Args:
        iou: (N, P). Overwritten.

    Returns:
        (N,) int64 prior of each object.

    Raises:
        InputError: There are more objects than priors.
    """
    count, num_priors = iou.shape
    if count > num_priors:
        raise InputError(f"objects: expected at most {num_priors} (one per prior), got {count}")
    given = torch.zeros(count, dtype=torch.int64, device=iou.device)
    for _ in range(count):
        # Tensors as indices of these operations: a GPU need not tell the host which they are.
        best, wish = iou.max(dim=1)
        number = best.argmax(dim=0, keepdim=True)  # the first of equal ones
        prior = wish.gather(0, number)
        given.scatter_(0, number, prior)
        iou.index_fill_(0, number, _EXCLUDED).index_fill_(1, prior, _EXCLUDED)
    return given


def _covered_fraction(boxes: Tensor, regions: Tensor) -> Tensor:
    """(P, 4) and (M, 4) corners to (M, P): the fraction of each box that each region covers."""
    first = torch.maximum(regions[:, None, :2], boxes[:, :2])
    last = torch.minimum(regions[:, None, 2:], boxes[:, 2:])
    return (last - first).clamp(min=0).prod(dim=2) / box_area(boxes)
