# SPDX-License-Identifier: Apache-2.0
"""The measured comparison with the loop over the images."""

import dataclasses

import pytest
import torch

from yolact_ros.presets import get_preset
from yolact_ros.training.loss_cost import (
    looped_loss,
    measure_loss_cost,
    random_predictions,
    random_target,
)
from yolact_ros.training.losses.multibox import MultiBoxLoss

SMALL = dataclasses.replace(get_preset("yolact_demo"), input_size=128)
CPU = torch.device("cpu")


@pytest.mark.parametrize("mask_iou", [False, True])
def test_both_ways_give_the_same_and_the_batch_is_cheaper(mask_iou):
    preset = dataclasses.replace(get_preset("yolact_demo"), input_size=256, mask_iou=mask_iou)
    cost = measure_loss_cost(preset, batch=6, objects=15, repeats=1)
    assert cost.positives >= 6 * 15
    assert cost.difference < 1e-5
    assert cost.gradient_difference < 1e-4
    assert 0 < cost.batched.megabytes < cost.loop.megabytes
    assert min(cost.batched.milliseconds, cost.loop.milliseconds) > 0


@pytest.mark.parametrize("seed", range(4))
def test_random_batches_equal_the_loop_with_few_masks_too(seed):
    generator = torch.Generator().manual_seed(seed)
    predictions = random_predictions(SMALL, 3, generator, CPU)
    targets = [random_target(SMALL, count, generator) for count in (1, 4, 12)]
    found = []
    for compute in (MultiBoxLoss(max_masks=10), lambda *a: looped_loss(*a, max_masks=10)):
        torch.manual_seed(seed)
        terms = compute(predictions, targets)
        gradients = torch.autograd.grad(sum(terms.values()), predictions[:5])
        found.append((terms, gradients))
    (terms, gradients), (expected, expected_gradients) = found
    assert {name: value.item() for name, value in terms.items()} == {
        name: pytest.approx(value.item(), rel=1e-5) for name, value in expected.items()
    }
    for one, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * other.abs().max().item())


def test_the_same_seed_makes_the_same_scene():
    made = [
        random_target(SMALL, 3, torch.Generator().manual_seed(seed)).boxes for seed in (0, 0, 1)
    ]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_masks_fill_their_boxes():
    target = random_target(SMALL, 20, torch.Generator().manual_seed(0))
    for box, mask in zip(target.boxes, target.masks, strict=True):
        ys, xs = mask.nonzero(as_tuple=True)
        tight = torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / 128
        torch.testing.assert_close(tight, box, rtol=0, atol=1.5 / 128)


@pytest.mark.parametrize("name", ["batch", "objects", "repeats"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}: expected 1 or more, got 0"):
        measure_loss_cost(SMALL, **{name: 0})
