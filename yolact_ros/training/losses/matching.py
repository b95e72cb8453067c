# SPDX-License-Identifier: Apache-2.0
"""Which prior answers for which object.

The rule is SSD's (Liu et al., ECCV 2016, section 2.2) with YOLACT's thresholds and crowd regions:
every object gets the prior that overlaps it most, then every prior that overlaps an object enough
answers for it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from yolact_ros.errors import InputError
from yolact_ros.ops.boxes import center_to_corners

NEUTRAL = -1
"""Label of a prior that counts neither as object nor as background."""
BACKGROUND = 0

_GIVEN = 2.0  # above every IoU
_EXCLUDED = -1.0  # below every IoU
_PAIRS_AT_ONCE = 1 << 20
"""Pairs of object and prior that are compared at once: what a processor's cache holds."""


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
    """Matches the priors with the objects of each of B images.

    Args:
        priors: (P, 4) cx, cy, w, h as fractions of the image.
        boxes: For each image (N, 4) x1, y1, x2, y2 of its objects; N may be 0, at most P.
        class_ids: For each image (N,) int64, background not counted.
        crowd_boxes: For each image (M, 4); M may be 0.
        positive_iou: A prior with at least this IoU answers for the object.
        negative_iou: A prior with less is background; between the two it is neutral.
        crowd_overlap: A prior that is not positive and lies in one crowd region with more than
            this part of its area is neutral.

    Raises:
        ValueError: An image has more objects than there are priors.
    """
    corners = center_to_corners(priors).t().contiguous()  # (4, P)
    images, count = len(boxes), len(priors)
    labels = torch.full((images, count), BACKGROUND, dtype=torch.int64, device=priors.device)
    objects = torch.zeros_like(labels)
    for part in _parts([len(each) for each in boxes], count):
        ids = pad_sequence(list(class_ids[part]), batch_first=True)  # (b, N)
        iou = _pairwise_iou(pad_sequence(list(boxes[part]), batch_first=True), corners)
        best, objects[part] = iou.max(dim=1)
        image, row = _existing([len(each) for each in boxes[part]], priors.device)
        given = assign_each_object(iou, image, row)
        best[image, given] = _GIVEN
        objects[part][image, given] = row
        found = ids.gather(1, objects[part]) + 1
        found.masked_fill_(best < positive_iou, NEUTRAL)
        labels[part] = found.masked_fill_(best < negative_iou, BACKGROUND)
    for part in _parts([len(each) for each in crowd_boxes], count):
        regions = pad_sequence(list(crowd_boxes[part]), batch_first=True)  # (b, M, 4)
        covered = _intersection(regions, corners) / _area(corners)
        inside = (covered > crowd_overlap).any(dim=1)
        labels[part].masked_fill_(inside & (labels[part] <= 0), NEUTRAL)
    return Matches(labels, objects)


def assign_each_object(iou: Tensor, images: Tensor, rows: Tensor) -> Tensor:
    """Gives each object a prior of its own: greedily, the best pair of an image first.

    Of equal pairs the one with the first object, then with the first prior is taken, as published.
    Found by letting every object ask for its best prior and, while two of an image ask for the
    same, sending the worse one on to its next: with one order of all pairs, this ends with the
    greedy assignment (the stable matching of Gale and Shapley is then the only one). Few objects
    compete, so that few rows are searched twice.

    Args:
        iou: (B, N, P), images with fewer than N objects filled up. Overwritten.
        images: (K,) image of each of the K objects of the batch, ascending.
        rows: (K,) which of its image's objects it is, ascending within an image.

    Returns:
        (K,) the prior of each object.

    Raises:
        ValueError: There is room for more objects than there are priors.
    """
    batch, size, num_priors = iou.shape
    if size > num_priors:
        raise InputError(f"objects: expected at most {num_priors} (one a prior), got {size}")
    wish_iou = iou.new_full((batch, size), _EXCLUDED)
    # Objects that do not exist wish for priors that do not exist, each for another.
    wish = torch.arange(num_priors, num_priors + size, device=iou.device).repeat(batch, 1)
    earlier = torch.ones(size, size, dtype=torch.bool, device=iou.device).tril(-1)
    asking_images, asking_rows = images, rows
    while len(asking_images):
        best, prior = iou[asking_images, asking_rows].max(dim=1)
        wish_iou[asking_images, asking_rows] = best
        wish[asking_images, asking_rows] = prior
        mine, other = wish_iou[:, :, None], wish_iou[:, None, :]
        lost = (other > mine) | ((other == mine) & earlier)
        lost &= wish[:, :, None] == wish[:, None, :]
        asking_images, asking_rows = lost.any(dim=2).nonzero(as_tuple=True)
        iou[asking_images, asking_rows, wish[asking_images, asking_rows]] = _EXCLUDED
    return wish[images, rows]


def _parts(counts: Sequence[int], num_priors: int) -> Iterator[slice]:
    """Runs of images that have boxes and are compared with the priors at once."""
    start, most = 0, 0
    for stop, count in enumerate([*counts, None]):
        full = count is not None and (
            max(most, count) * num_priors * (stop - start + 1) > _PAIRS_AT_ONCE
        )
        if count is None or full:
            if most:
                yield slice(start, stop)
            start, most = stop, 0
        most = max(most, count or 0)


def _existing(counts: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Image and row of each object."""
    images = [image for image, count in enumerate(counts) for _ in range(count)]
    rows = [row for count in counts for row in range(count)]
    found = torch.tensor([images, rows], dtype=torch.int64, device=device)
    return found[0], found[1]


def _intersection(boxes: Tensor, corners: Tensor) -> Tensor:
    """(B, N, 4) boxes and (4, P) corners to areas (B, N, P)."""
    x1, y1, x2, y2 = boxes[..., None].unbind(dim=2)  # (B, N, 1)
    area = torch.minimum(x2, corners[2]).sub_(torch.maximum(x1, corners[0])).clamp_(min=0)
    area *= torch.minimum(y2, corners[3]).sub_(torch.maximum(y1, corners[1])).clamp_(min=0)
    return area


def _area(corners: Tensor) -> Tensor:
    """(4, ...) to areas (...)."""
    return (corners[2] - corners[0]) * (corners[3] - corners[1])


def _pairwise_iou(boxes: Tensor, corners: Tensor) -> Tensor:
    """As `box_iou`, (B, N, 4) and (4, P) to (B, N, P), without its (B, N, P, 2) on the way."""
    intersection = _intersection(boxes, corners)
    union = _area(boxes.movedim(2, 0))[..., None] + _area(corners)
    return intersection.div_(union.sub_(intersection))
