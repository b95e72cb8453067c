# SPDX-License-Identifier: Apache-2.0
"""The mask term (YOLACT paper, section 3.2): binary cross entropy of assembled, cropped masks."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from yolact_ros.ops.masks.crop import crop_masks


class Positives(NamedTuple):
    """The K positive priors whose masks are compared, ordered by image.

    Attributes:
        images: (K,) int64.
        priors: (K,) int64.
        objects: (K,) int64 index among the objects of the whole batch.
        counts: Number of positives of each image.
        weights: (K,) factor of each one's mask loss.
    """

    images: Tensor
    priors: Tensor
    objects: Tensor
    counts: list[int]
    weights: Tensor


def assemble_positives(
    prototypes: Tensor, coefficients: Tensor, positives: Positives, boxes: Tensor
) -> Tensor:
    """Assemble the masks of the positives, each cropped by the true box of its object.

    Args:
        prototypes: (B, h, w, k).
        coefficients: (K, k) of the positives.
        positives: Gives the image and the object of each mask.
        boxes: (M, 4) of the objects of the whole batch, x1, y1, x2, y2 as fractions of the image.

    Returns:
        (K, h, w) soft masks, 0 to 1; 0 outside the boxes.
    """
    logits = [
        own @ image.flatten(0, 1).t()
        for own, image in zip(coefficients.split(positives.counts), prototypes, strict=True)
    ]
    masks = torch.cat(logits).sigmoid().unflatten(1, prototypes.shape[1:3])
    return crop_masks(masks.permute(1, 2, 0), boxes[positives.objects]).permute(2, 0, 1)


def mask_loss(masks: Tensor, positives: Positives, boxes: Tensor, truth: Tensor) -> Tensor:
    """Sum the cross entropy of each mask over its pixels, divided by the area of its box.

    PyTorch limits the logarithms to -100, so a true pixel that the crop cuts off costs 100.

    Args:
        masks: (K, h, w), see `assemble_positives`.
        positives: Gives the object and the weight of each mask.
        boxes: (M, 4) of the objects of the whole batch, as fractions of the image.
        truth: (M, h, w) bool, or float in [0, 1].

    Returns:
        The weighted sum over the masks.
    """
    expected = truth[positives.objects].to(masks.dtype)
    cost = F.binary_cross_entropy(masks, expected, reduction="none").sum(dim=(1, 2))
    height, width = masks.shape[1:]
    areas = ((boxes[:, 2:] - boxes[:, :2]) * boxes.new_tensor([width, height])).prod(dim=1)
    return (cost * positives.weights / areas[positives.objects]).sum()
