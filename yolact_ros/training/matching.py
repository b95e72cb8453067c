# SPDX-License-Identifier: Apache-2.0
"""Which prior answers for which object.

The rule is SSD's (Liu et al., ECCV 2016, section 2.2) with YOLACT's thresholds and crowd regions:
every object gets the prior that overlaps it most, then every prior that overlaps an object enough
answers for it too.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_iou

from yolact_ros.ops.boxes import center_to_corners

NEUTRAL = -1
"""Label of a prior that counts neither as object nor as background."""
BACKGROUND = 0


class Matches(NamedTuple):
    """One entry for each of the P priors.

    Attributes:
        labels: (P,) int64: -1 neutral, 0 background, class id + 1 for an object.
        objects: (P,) int64 index of the object that the prior overlaps most or was given; 0 where
            there is none.
    """

    labels: Tensor
    objects: Tensor


def match_priors(
    priors: Tensor,
    boxes: Tensor,
    class_ids: Tensor,
    crowd_boxes: Tensor,
    *,
    positive_iou: float = 0.5,
    negative_iou: float = 0.4,
    crowd_overlap: float = 0.7,
) -> Matches:
    """Matches the priors with the objects of one image.

    Args:
        priors: (P, 4) cx, cy, w, h as fractions of the image.
        boxes: (N, 4) x1, y1, x2, y2 of the objects; N may be 0, at most P.
        class_ids: (N,) int64, background not counted.
        crowd_boxes: (M, 4); M may be 0.
        positive_iou: A prior with at least this IoU answers for the object.
        negative_iou: A prior with less is background; between the two it is neutral.
        crowd_overlap: A prior that is not positive and lies in one crowd region with more than
            this part of its area is neutral.
    """
    corners = center_to_corners(priors)
    if len(boxes) == 0:
        labels = torch.full((len(priors),), BACKGROUND, dtype=torch.int64, device=priors.device)
        objects = torch.zeros_like(labels)
    else:
        iou = box_iou(boxes, corners)  # (N, P)
        best, objects = iou.max(dim=0)
        given_objects, given_priors = assign_each_object(iou)
        best[given_priors] = 2.0  # above every IoU
        objects[given_priors] = given_objects
        labels = class_ids[objects] + 1
        labels[best < positive_iou] = NEUTRAL
        labels[best < negative_iou] = BACKGROUND
    if len(crowd_boxes):
        inside = _covered_part(corners, crowd_boxes).amax(dim=1) > crowd_overlap
        labels[inside & (labels <= 0)] = NEUTRAL
    return Matches(labels, objects)


def assign_each_object(iou: Tensor) -> tuple[Tensor, Tensor]:
    """Gives each object a prior of its own: greedily, the best pair of all first.

    Args:
        iou: (N, P) with N <= P.

    Returns:
        Objects and their priors, each (N,), in the order of assignment.

    Raises:
        ValueError: There are more objects than priors.
    """
    count, num_priors = iou.shape
    if count > num_priors:
        raise ValueError(f"objects: expected at most {num_priors} (one a prior), got {count}")
    remaining = iou.clone()
    pairs = []
    for _ in range(count):
        # The first of equal pairs, as published; tensors throughout, so a GPU need not wait.
        flat = remaining.argmax()
        pair = torch.stack([flat // num_priors, flat % num_priors])
        remaining[pair[0]] = -1.0
        remaining[:, pair[1]] = -1.0
        pairs.append(pair)
    objects, priors = torch.stack(pairs, dim=1) if pairs else iou.new_zeros((2, 0)).long()
    return objects, priors


def _covered_part(boxes: Tensor, regions: Tensor) -> Tensor:
    """(P, 4) boxes and (M, 4) regions to (P, M): the part of the box's area inside the region."""
    top_left = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return intersection / area[:, None]
