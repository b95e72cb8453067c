# SPDX-License-Identifier: Apache-2.0
"""Hard negatives and focal loss."""

import math

import pytest
import torch
import torch.nn.functional as F

from yolact_ros.training.losses.class_loss import choose_negatives, focal_loss, hard_negative_loss


def test_the_hardest_negatives_are_chosen():
    logits = torch.tensor([[[0.0, 5], [0.0, 1], [0.0, 3], [0.0, 2], [0.0, 4], [0.0, 9]]])
    labels = torch.tensor([[1, 0, 0, 0, 0, -1]])
    priors, chosen = choose_negatives(logits, labels, [1], per_positive=2)
    assert priors[chosen].tolist() == [4, 2]


def test_each_image_has_its_own_number_of_negatives():
    logits = torch.zeros(3, 6, 2)
    logits[:, :, 1] = torch.arange(6.0)
    labels = torch.tensor([[1, 0, 0, 0, 0, 0], [0] * 6, [1, 1, 1, 0, -1, -1]])
    priors, chosen = choose_negatives(logits, labels, [1, 0, 3], per_positive=3)
    found = [row[kept].tolist() for row, kept in zip(priors, chosen, strict=True)]
    assert found == [[5, 4, 3], [], [3]]
    priors, chosen = choose_negatives(logits, labels, [1, 0, 3], per_positive=3, least=2)
    found = [row[kept].tolist() for row, kept in zip(priors, chosen, strict=True)]
    assert found == [[5, 4, 3], [5, 4], [3]], "two at least"


def test_the_term_is_the_cross_entropy_of_positives_and_chosen_negatives():
    torch.manual_seed(0)
    logits = torch.randn(2, 50, 4, requires_grad=True)
    labels = torch.randint(-1, 2, (2, 50))
    labels[1] = labels[1].clamp(max=0)  # an image without positives has no negatives either
    positives = (labels > 0).sum(dim=1).tolist()
    loss = hard_negative_loss(logits, labels, positives, 1)
    of_image = F.cross_entropy(logits[0], labels[0], ignore_index=-1, reduction="none")
    hardest = of_image[labels[0] == 0].sort(descending=True).values[: positives[0]]
    assert loss.item() == pytest.approx((of_image[labels[0] > 0].sum() + hardest.sum()).item())
    loss.backward()
    assert (logits.grad.abs().sum(dim=2) > 0).sum(dim=1).tolist() == [2 * positives[0], 0]


def test_focal_loss_by_hand():
    # Probability of the second class: 1/2 for the first two priors, 4/5 for the third.
    logits = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [0.0, math.log(4)], [0.0, 7.0]]])
    labels = torch.tensor([[1, 0, 1, -1]])
    positive = 0.25 * 0.5**2 * math.log(2) + 0.25 * 0.2**2 * -math.log(0.8)
    negative = 0.75 * 0.5**2 * math.log(2)
    loss = focal_loss(logits, labels, alpha=0.25, gamma=2)
    assert loss.item() == pytest.approx(positive + negative)


def test_focal_loss_without_focus_is_half_the_cross_entropy_of_all_that_is_not_neutral():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 30, 5), torch.randint(-1, 5, (2, 30))
    entropy = F.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=-1, reduction="sum"
    )
    loss = focal_loss(logits, labels, alpha=0.5, gamma=0)
    assert loss.item() == pytest.approx(entropy.item() / 2, rel=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_certain_priors_have_finite_focal_gradients(gamma):
    logits = torch.tensor([[[200.0, 0.0], [0.0, 200.0], [200.0, 0.0]]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[0, 0, -1]]), alpha=0.25, gamma=gamma)
    assert loss.item() == pytest.approx(0.75 * 200)
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 0].abs().max() < 1e-6 < logits.grad[0, 1].abs().max()
    assert logits.grad[0, 2].tolist() == [0, 0]
