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

from yolact_ros.ops.masks.crop import CROP_PADDING, crop_bounds

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
        """As `yolact_ros.ops.masks.crop.crop_masks` crops masks of this (height, width)."""
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
    *,
    whole_images: bool | None = None,
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
        whole_images: Whether images are worked on as a whole, in few large operations without
            waiting for the device, or object by object in the least work. None: on GPUs.
    """
    if whole_images is None:
        whole_images = prototypes.device.type != "cpu"
    height, width = prototypes.shape[1:3]
    sides = (boxes[:, 2:] - boxes[:, :2]) * boxes.new_tensor([width, height])
    weights = (positives.weights / sides.prod(dim=1)[positives.objects]).to(prototypes.dtype)
    inside = _InsideLoss.apply(
        prototypes,
        coefficients,
        positives._replace(weights=weights),
        crops,
        truth,
        whole_images,
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
            several and the rectangle is the whole image.
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
        whole_images: bool,
    ) -> Tensor:
        if whole_images:
            order = torch.arange(len(coefficients), device=prototypes.device)
            patches = _patches_of_images(positives, crops)
        else:
            # Sorted, so that those of an object are a slice.
            order = positives.objects.argsort(stable=True)
            patches = _patches_of_objects(positives, crops)
        coefficients = coefficients[order]
        objects, weights = positives.objects[order], positives.weights[order]
        with_gradient = any(ctx.needs_input_grad)
        inputs = (prototypes, coefficients) if with_gradient else ()
        gradients = [torch.zeros_like(value) for value in inputs]
        total = prototypes.new_zeros(())
        for patch in patches:
            where = (patch.image, patch.rows, patch.columns)
            pixels = prototypes[where].flatten(0, 1)  # (q, k)
            chosen, weight = coefficients[patch.chosen], weights[patch.chosen]  # (m, k), (m,)
            soft = (chosen @ pixels.t()).sigmoid_()  # (m, q)
            if patch.object is None:
                index = objects[patch.chosen]
                true = truth[index].flatten(1).to(soft.dtype)
                inside = crops.rows[index][:, :, None] & crops.columns[index][:, None]
                factors = inside.flatten(1) * weight[:, None]
            else:
                true = truth[patch.object, patch.rows, patch.columns].flatten().to(soft.dtype)
                true, factors = true.expand_as(soft), weight[:, None]
            cost = F.binary_cross_entropy(soft, true, reduction="none")
            total += cost.mul_(factors).sum()
            if with_gradient:
                gradient = _slope(soft, true).mul_(factors)
                rectangle = gradients[0][where]
                rectangle += (gradient.t() @ chosen).view_as(rectangle)
                gradients[1][order[patch.chosen]] = gradient @ pixels
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return (*(outer * gradient for gradient in ctx.saved_tensors), *[None] * 4)


def _slope(soft: Tensor, true: Tensor) -> Tensor:
    """Of `binary_cross_entropy(sigmoid(x), true)` at x, as PyTorch limits it: 0 if saturated."""
    slope = torch.addcmul(soft, soft, soft, value=-1)
    return (soft - true).mul_(slope).div_(slope.clamp_(min=_LEAST_SLOPE))


def _patches_of_objects(positives: Positives, crops: Crops) -> Iterator[_Patch]:
    """Each object's crop alone."""
    count = len(crops.rows)
    images = torch.zeros_like(crops.rows[:, 0], dtype=torch.int64)
    images[positives.objects] = positives.images
    table = [images, torch.bincount(positives.objects, minlength=count)]
    for kept in crops:
        table += [kept.int().argmax(dim=1), kept.sum(dim=1)]
    first = 0
    for number, row in enumerate(torch.stack(table, dim=1).tolist()):
        image, members, top, height, left, width = row
        start, first = first, first + members
        if height * width == 0:
            continue
        rows, columns = slice(top, top + height), slice(left, left + width)
        for chosen in _slices(start, first, height * width):
            yield _Patch(image, rows, columns, chosen, number)


def _patches_of_images(positives: Positives, crops: Crops) -> Iterator[_Patch]:
    """Each image as a whole."""
    height, width = crops.rows.shape[1], crops.columns.shape[1]
    for image, chosen in slices_of_masks(positives.counts, crops):
        yield _Patch(image, slice(0, height), slice(0, width), chosen, None)


def slices_of_masks(counts: list[int], crops: Crops) -> Iterator[tuple[int, slice]]:
    """Images and runs of their positives, of bounded memory when their masks are assembled whole.

    Args:
        counts: Positives of each image.
        crops: Give the masks' size.
    """
    pixels = crops.rows.shape[1] * crops.columns.shape[1]
    first = 0
    for image, members in enumerate(counts):
        for chosen in _slices(first, first + members, pixels):
            yield image, chosen
        first += members


def _slices(start: int, stop: int, pixels: int) -> Iterator[slice]:
    """Cuts a run of masks of so many pixels each, to bound the memory."""
    step = max(1, _PIXELS_AT_ONCE // pixels)
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))
