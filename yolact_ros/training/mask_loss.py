# SPDX-License-Identifier: Apache-2.0
"""The mask term, at the cost of the pixels inside the boxes.

Binary cross entropy between the assembled masks, cropped by the true boxes, and the true masks
(YOLACT paper, section 3.2), each mask's sum divided by its box's area.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from yolact_ros.ops.masks import CROP_PADDING, crop_bounds

_CUT_COST = 100.0
"""Cost of a true pixel that the crop cuts off: -log 0, which PyTorch limits to this."""
_LEAST_SLOPE = 1e-12
"""What PyTorch limits x (1 - x) to in the gradient of the cross entropy."""
_PIXELS_AT_ONCE = 1 << 21


class Positives(NamedTuple):
    """The K positive priors whose masks are compared, those of an image one after the other.

    Attributes:
        images: (K,) int64.
        priors: (K,) int64.
        objects: (K,) int64 index among the objects of the whole batch.
        counts: How many there are of each image.
        weights: (K,) what the loss of each one is multiplied with.
    """

    images: Tensor
    priors: Tensor
    objects: Tensor
    counts: list[int]
    weights: Tensor


class Crops(NamedTuple):
    """Which prototype rows and columns each of M boxes keeps.

    Attributes:
        rows: (M, h) bool.
        columns: (M, w) bool.
    """

    rows: Tensor
    columns: Tensor

    @classmethod
    def around(cls, boxes: Tensor, size: tuple[int, int]) -> Crops:
        """As `yolact_ros.ops.masks.crop_masks` crops masks of this (height, width)."""
        kept = []
        for axis, pixels in ((1, size[0]), (0, size[1])):
            first, last = crop_bounds(boxes[:, axis], boxes[:, axis + 2], pixels, CROP_PADDING)
            index = torch.arange(pixels, device=boxes.device, dtype=boxes.dtype)
            kept.append((index >= first[:, None]) & (index < last[:, None]))
        return cls(*kept)


def mask_loss(
    prototypes: Tensor,
    coefficients: Tensor,
    positives: Positives,
    boxes: Tensor,
    crops: Crops,
    truth: Tensor,
) -> Tensor:
    """The weighted sum of the masks' losses.

    Equal, gradients included, to assembling every mask whole, cropping it, and
    `binary_cross_entropy`, whose logarithms PyTorch limits to -100.

    Args:
        prototypes: (B, h, w, k).
        coefficients: (K, k) of the positives.
        positives: Which image, object and weight each one has.
        boxes: (M, 4) of the objects of the whole batch, x1, y1, x2, y2 as fractions of the image.
        crops: Of `boxes`.
        truth: (M, h, w) bool, or float in [0, 1].
    """
    height, width = prototypes.shape[1:3]
    sides = (boxes[:, 2:] - boxes[:, :2]) * boxes.new_tensor([width, height])
    weights = (positives.weights / sides.prod(dim=1)[positives.objects]).to(prototypes.dtype)
    inside = _InsideLoss.apply(
        prototypes, coefficients, positives._replace(weights=weights), crops, truth
    )
    cut = _cut_pixels(truth, crops, prototypes.dtype)
    return inside + _CUT_COST * (weights * cut[positives.objects]).sum()


def _cut_pixels(truth: Tensor, crops: Crops, dtype: torch.dtype) -> Tensor:
    """(M,) the sum of each true mask outside its crop: whole rows, and the rest of other rows."""
    rows, columns = crops.rows.to(dtype), crops.columns.to(dtype)
    truth = truth.to(dtype)
    rest = torch.bmm(truth, (1 - columns)[:, :, None])[:, :, 0]
    return (truth.sum(dim=2) * (1 - rows) + rest * rows).sum(dim=1)


class _Patch(NamedTuple):
    """A rectangle of one image's prototypes with the positives that are compared there.

    Attributes:
        image: Index in the batch.
        rows, columns: The rectangle.
        chosen: Which positives.
        object: The one that they are all of, whose crop the rectangle is; None if they are of
            several, whose crops the rectangle contains.
    """

    image: int
    rows: slice
    columns: slice
    chosen: slice
    object: int | None


class _InsideLoss(torch.autograd.Function):
    """The loss inside the crops. Its gradient is computed along, so that no mask is kept for it."""

    @staticmethod
    def forward(
        ctx: Any,
        prototypes: Tensor,
        coefficients: Tensor,
        positives: Positives,
        crops: Crops,
        truth: Tensor,
    ) -> Tensor:
        if prototypes.device.type == "cpu":
            # Sorted, so that those of an object are a slice.
            order = positives.objects.argsort(stable=True)
            patches = _patches_of_objects(positives, crops)
        else:
            order = torch.arange(len(coefficients), device=prototypes.device)
            patches = _patches_of_images(positives, crops)
        coefficients = coefficients[order]
        objects, weights = positives.objects[order], positives.weights[order]
        with_gradient = any(ctx.needs_input_grad)
        prototypes_gradient = torch.zeros_like(prototypes) if with_gradient else None
        coefficients_gradient = torch.zeros_like(coefficients) if with_gradient else None
        total = prototypes.new_zeros(())
        for patch in patches:
            where = (patch.image, patch.rows, patch.columns)
            pixels = prototypes[where].flatten(0, 1)  # (q, k)
            chosen = coefficients[patch.chosen]  # (m, k)
            soft = (chosen @ pixels.t()).sigmoid_()  # (m, q)
            inside = None
            if patch.object is None:
                index = objects[patch.chosen]
                true = truth[index, patch.rows, patch.columns].flatten(1).to(soft.dtype)
                inside = crops.rows[index][:, :, None] & crops.columns[index][:, None]
                inside = inside[:, patch.rows, patch.columns].flatten(1)
            else:
                true = truth[patch.object, patch.rows, patch.columns].flatten().to(soft.dtype)
                true = true.expand_as(soft)
            cost = F.binary_cross_entropy(soft, true, reduction="none")
            if inside is not None:
                cost *= inside
            weight = weights[patch.chosen]
            total += torch.dot(cost.sum(dim=1), weight)
            if prototypes_gradient is None or coefficients_gradient is None:
                continue
            slope = torch.addcmul(soft, soft, soft, value=-1)
            gradient = (soft - true).mul_(slope).div_(slope.clamp_(min=_LEAST_SLOPE))
            gradient *= weight[:, None]
            if inside is not None:
                gradient *= inside
            coefficients_gradient[patch.chosen] = gradient @ pixels
            rectangle = prototypes_gradient[where]
            rectangle += (gradient.t() @ chosen).view_as(rectangle)
        if prototypes_gradient is not None and coefficients_gradient is not None:
            unsorted = torch.empty_like(coefficients_gradient)
            unsorted[order] = coefficients_gradient
            ctx.save_for_backward(prototypes_gradient, unsorted)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        prototypes_gradient, coefficients_gradient = ctx.saved_tensors
        return outer * prototypes_gradient, outer * coefficients_gradient, None, None, None


def _patches_of_objects(positives: Positives, crops: Crops) -> Iterator[_Patch]:
    """Each object's crop alone: the least work, for processors that start operations quickly."""
    count = len(crops.rows)
    images = torch.zeros(count, dtype=torch.int64)
    images[positives.objects] = positives.images
    table = [images, torch.bincount(positives.objects, minlength=count)]
    for kept in crops:
        table += [kept.int().argmax(dim=1), kept.sum(dim=1)]
    first = 0
    for number, row in enumerate(torch.stack(table, dim=1).tolist()):
        image, members, top, height, left, width = row
        last, first = first + members, first + members
        if height * width == 0:
            continue
        rows, columns = slice(top, top + height), slice(left, left + width)
        for chosen in _slices(last - members, last, height * width):
            yield _Patch(image, rows, columns, chosen, number)


def _patches_of_images(positives: Positives, crops: Crops) -> Iterator[_Patch]:
    """Each image as a whole: the fewest operations, for GPUs, without waiting for one."""
    height, width = crops.rows.shape[1], crops.columns.shape[1]
    first = 0
    for image, members in enumerate(positives.counts):
        for chosen in _slices(first, first + members, height * width):
            yield _Patch(image, slice(0, height), slice(0, width), chosen, None)
        first += members


def _slices(start: int, stop: int, pixels: int) -> Iterator[slice]:
    """Cuts a run of masks of so many pixels each, to bound the memory."""
    step = max(1, _PIXELS_AT_ONCE // pixels)
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))
