# SPDX-License-Identifier: Apache-2.0
"""The losses against the same ones written as a loop over the images."""

import dataclasses

import pytest
import torch

from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.presets import get_preset
from yolact_ros.training.losses.multibox import MultiBoxLoss

from .loop import looped_loss, random_predictions, random_target

SMALL = dataclasses.replace(get_preset("yolact_demo"), input_size=128)


@pytest.mark.parametrize("mask_iou", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_random_batches_equal_the_loop_with_few_masks_too(seed, mask_iou):
    generator = torch.Generator().manual_seed(seed)
    predictions = random_predictions(SMALL, 3, generator)
    targets = [random_target(SMALL, count, generator) for count in (1, 4, 12)]
    torch.manual_seed(seed)
    net = MaskIouNet(SMALL.num_classes - 1) if mask_iou else None
    leaves = [*predictions[:5], *(net.parameters() if net else ())]
    found = []
    for compute in (MultiBoxLoss(max_masks=10), lambda *a, **k: looped_loss(*a, max_masks=10, **k)):
        torch.manual_seed(seed)
        terms = compute(predictions, targets, mask_iou_net=net)
        gradients = torch.autograd.grad(sum(terms.values()), leaves)
        found.append((terms, gradients))
    (terms, gradients), (expected, expected_gradients) = found
    assert {name: value.item() for name, value in terms.items()} == {
        name: pytest.approx(value.item(), rel=1e-5) for name, value in expected.items()
    }
    for one, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * other.abs().max().item())


def test_masks_fill_their_boxes():
    target = random_target(SMALL, 20, torch.Generator().manual_seed(0))
    for box, mask in zip(target.boxes, target.masks, strict=True):
        ys, xs = mask.nonzero(as_tuple=True)
        tight = torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / 128
        torch.testing.assert_close(tight, box, rtol=0, atol=1.5 / 128)
