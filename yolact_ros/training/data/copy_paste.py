# SPDX-License-Identifier: Apache-2.0
"""Pastes objects of one training image over another (Ghiasi et al., CVPR 2021)."""

from __future__ import annotations

import numpy as np
import torch
from torchvision.ops import masks_to_boxes

from yolact_ros.training.data.augmentation import Augmentation
from yolact_ros.training.data.target import Sample, Target


def paste(source: Sample, onto: Sample, limits: Augmentation) -> Sample:
    """Paste each object of `source` with a probability of one half.

    Args:
        source: Its objects are pasted where they are.
        onto: An image of the same size. Objects that are covered lose pixels, and their boxes are
            taken from what is left.
        limits: An object of `onto` that keeps less than `min_visible` of its pixels is dropped, see
            `neutral_cuts`.

    Returns:
        The objects of `onto` first.
    """
    below, above = onto.target, source.target
    chosen = torch.rand(len(above)) < 0.5
    cover = above.masks[chosen].any(dim=0)
    masks = below.masks & ~cover
    before, after = (each.flatten(1).sum(dim=1) for each in (below.masks, masks))
    seen = (after > 0) & (after >= limits.min_visible * before)
    boxes = below.boxes.clone()
    cut = (after > 0) & (after < before)
    edge = torch.tensor([0, 0, 1, 1])  # the last pixel is part of the box
    boxes[cut] = (masks_to_boxes(masks[cut]) + edge) / len(cover)
    rest = boxes[cut & ~seen] if limits.neutral_cuts else boxes[:0]
    target = Target(
        boxes=torch.cat([boxes[seen], above.boxes[chosen]]),
        class_ids=torch.cat([below.class_ids[seen], above.class_ids[chosen]]),
        masks=torch.cat([masks[seen], above.masks[chosen]]),
        crowd_boxes=torch.cat([below.crowd_boxes, rest]),
    )
    return Sample(np.where(cover.numpy()[..., None], source.image, onto.image), target)
