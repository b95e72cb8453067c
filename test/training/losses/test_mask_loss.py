# SPDX-License-Identifier: Apache-2.0
"""Mask and mask-IoU loss, and the true masks they see."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from yolact_ros.ops.masks.crop import crop_masks
from yolact_ros.training.losses.mask_iou_loss import mask_iou_loss
from yolact_ros.training.losses.mask_loss import Positives, assemble_positives, mask_loss
from yolact_ros.training.losses.mask_targets import covered_fraction, resize_masks

HEIGHT, WIDTH, IMAGES = 12, 9, 3


def scene(scale=3.0, fractions=False):
    """Five objects on two of three images, with one to four positives each."""
    generator = torch.Generator().manual_seed(1)
    objects_of = torch.tensor([0, 1, 1, 0, 2, 0, 1, 3, 4, 4, 3, 4])
    images = torch.tensor([0] * 7 + [2] * 5)
    corners = torch.rand(5, 2, generator=generator) * 0.6
    boxes = torch.cat([corners, corners + 0.1 + torch.rand(5, 2, generator=generator) * 0.3], 1)
    truth = torch.rand(5, HEIGHT, WIDTH, generator=generator)
    positives = Positives(
        images=images,
        priors=torch.arange(12),
        objects=objects_of,
        counts=[7, 0, 5],
        weights=torch.rand(12, generator=generator) + 0.5,
    )
    prototypes = torch.randn(IMAGES, HEIGHT, WIDTH, 4, generator=generator) * scale
    coefficients = torch.randn(12, 4, generator=generator)
    return (
        prototypes.requires_grad_(),
        coefficients.requires_grad_(),
        positives,
        boxes,
        truth if fractions else truth > 0.5,
    )


def plain_mask_loss(prototypes, coefficients, positives, boxes, truth):
    """Every mask whole, as published."""
    total = 0
    for i, of in enumerate(positives.objects):
        logits = prototypes[positives.images[i]] @ coefficients[i]
        soft = crop_masks(torch.sigmoid(logits)[:, :, None], boxes[of, None])[:, :, 0]
        loss = F.binary_cross_entropy(soft, truth[of].float(), reduction="sum")
        width, height = (boxes[of, 2:] - boxes[of, :2]) * torch.tensor([WIDTH, HEIGHT])
        total = total + positives.weights[i] * loss / width / height
    return total


# Scale 3: usual values. 30: many pixels saturate, where a cost is exactly 100 or 0 and flat.
@pytest.mark.parametrize("scale", [3.0, 30.0])
@pytest.mark.parametrize("fractions", [False, True])
def test_the_mask_loss_equals_whole_masks(scale, fractions):
    prototypes, coefficients, positives, boxes, truth = scene(scale, fractions)
    plain = plain_mask_loss(prototypes, coefficients, positives, boxes, truth)
    expected = torch.autograd.grad(plain, [prototypes, coefficients])
    masks = assemble_positives(prototypes, coefficients, positives, boxes)
    loss = mask_loss(masks, positives, boxes, truth)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-6)
    found = torch.autograd.grad(3 * loss, [prototypes, coefficients])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, 3 * other, rtol=1e-5, atol=1e-5)


def test_a_saturated_wrong_pixel_costs_100_and_pulls_nothing():
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    one = torch.zeros(1, dtype=torch.int64)
    positives = Positives(one, one, one, [1], torch.ones(1))
    prototypes = torch.tensor([[[[200.0]]]], requires_grad=True)
    coefficients = torch.ones(1, 1, requires_grad=True)
    truth = torch.zeros(1, 1, 1, dtype=torch.bool)
    masks = assemble_positives(prototypes, coefficients, positives, boxes)
    loss = mask_loss(masks, positives, boxes, truth)
    loss.backward()
    assert loss.item() == 100
    assert (prototypes.grad.item(), coefficients.grad.item()) == (0, 0)


class Brightness(nn.Module):
    """Stands for the mask-IoU net: "predicts" the mask's sum times a factor for each class."""

    def __init__(self):
        super().__init__()
        self.factors = nn.Parameter(torch.linspace(0.01, 0.03, 3))

    def forward(self, masks):
        return masks.sum(dim=(1, 2, 3))[:, None] * self.factors


@pytest.mark.parametrize("least_area", [0, 55, 10_000])
def test_the_mask_iou_loss_equals_its_definition(least_area):
    prototypes, coefficients, positives, boxes, truth = scene()
    class_ids = torch.tensor([0, 1, 2, 0, 1])
    net = Brightness()
    total = prototypes.sum() * 0 + coefficients.sum() * 0 + net.factors.sum() * 0
    for i, of in enumerate(positives.objects):
        if truth[of].sum() <= least_area:
            continue
        logits = prototypes[positives.images[i]] @ coefficients[i]
        soft = crop_masks(torch.sigmoid(logits)[:, :, None], boxes[of, None])[:, :, 0]
        hard = soft > 0.5
        iou = (hard & truth[of]).sum() / (hard | truth[of]).sum()
        predicted = soft.sum() * net.factors[class_ids[of]]
        total = total + F.smooth_l1_loss(predicted, iou)
    leaves = [prototypes, coefficients, net.factors]
    expected = torch.autograd.grad(total, leaves)
    masks = assemble_positives(prototypes, coefficients, positives, boxes)
    loss = mask_iou_loss(net, masks, positives.objects, truth, class_ids, least_area=least_area)
    assert loss.item() == pytest.approx(total.item(), rel=1e-6)
    assert (loss.item() == 0) == (least_area == 10_000)
    for one, other in zip(torch.autograd.grad(loss, leaves), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_the_number_of_mask_ious_can_be_limited():
    prototypes, coefficients, positives, boxes, truth = scene()
    masks = assemble_positives(prototypes, coefficients, positives, boxes)
    seen = []

    class Counting(Brightness):
        def forward(self, masks):
            seen.append(len(masks))
            return super().forward(masks)

    arguments = (masks, positives.objects, truth, torch.zeros(5).long())
    losses = set()
    for seed in range(4):
        torch.manual_seed(seed)
        loss = mask_iou_loss(Counting(), *arguments, least_area=0, max_masks=3)
        losses.add(loss.item())
        assert sum(seen) == 3
        seen.clear()
    assert len(losses) > 1


@pytest.mark.parametrize("size", [(5, 7), (11, 20), (22, 40), (30, 50)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
def test_masks_are_resized_bilinearly(size, dtype):
    masks = (torch.rand(3, 22, 40, generator=torch.Generator().manual_seed(0)) > 0.5).to(dtype)
    expected = F.interpolate(masks[None].float(), size=size, mode="bilinear", align_corners=False)
    found = resize_masks(masks, size)
    torch.testing.assert_close(found, expected[0], rtol=0, atol=1e-5)
    assert torch.equal(found > 0.5, expected[0] > 0.5)


def test_half_a_pixel_is_no_mask_pixel():
    masks = torch.tensor([[[1, 0], [0, 1]], [[1, 1], [0, 1]]], dtype=torch.bool)
    assert (resize_masks(masks, (1, 1)) > 0.5).flatten().tolist() == [False, True]


@pytest.mark.parametrize("size", [(11, 10), (5, 7), (22, 40), (1, 1), (44, 40)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
def test_the_covered_fraction_is_the_mean_over_each_pixel(size, dtype):
    masks = (torch.rand(3, 22, 40, generator=torch.Generator().manual_seed(0)) > 0.5).to(dtype)
    expected = F.adaptive_avg_pool2d(masks.float(), size)
    torch.testing.assert_close(covered_fraction(masks, size), expected)


def test_fractions_at_the_right_size_are_taken_as_they_are():
    masks = torch.rand(2, 4, 4)
    assert torch.equal(covered_fraction(masks, (4, 4)), masks)
    assert torch.equal(resize_masks(masks, (4, 4)), masks)
    for resize in (covered_fraction, resize_masks):
        assert resize(torch.zeros(0, 8, 8, dtype=torch.bool), (4, 4)).shape == (0, 4, 4)
