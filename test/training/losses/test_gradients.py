# SPDX-License-Identifier: Apache-2.0
"""Analytic gradients of every term against finite differences, in double precision."""

import pytest
import torch

from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.data.target import Target
from yolact_ros.training.losses.multibox import MultiBoxLoss

SIDE, CLASSES, PROTOTYPES = 8, 3, 2


def scene():
    """Two images of two and of no objects, four priors, 8x8 prototypes."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(2, *shape, generator=generator, dtype=torch.float64)

    priors = torch.tensor(
        [[x, y, 0.5, 0.5] for y in (0.25, 0.75) for x in (0.25, 0.75)], dtype=torch.float64
    )
    leaves = [
        normal(4, 4),
        normal(4, CLASSES),
        normal(4, PROTOTYPES),
        normal(SIDE, SIDE, PROTOTYPES),
        normal(CLASSES - 1, 4, 4),
    ]
    boxes = torch.tensor([[0.05, 0.0, 0.6, 0.5], [0.5, 0.45, 1.0, 0.95]], dtype=torch.float64)
    # At twice the resolution, and reaching beyond the boxes.
    masks = torch.zeros(2, 2 * SIDE, 2 * SIDE, dtype=torch.bool)
    masks[0, 1:8, 1:15] = True
    masks[1, 5:15, 7:16] = True
    nothing = Target(boxes[:0], torch.zeros(0, dtype=torch.int64), masks[:0])
    targets = [Target(boxes, torch.tensor([0, 1]), masks), nothing]
    return [leaf.requires_grad_() for leaf in leaves], priors, targets


@pytest.mark.parametrize(
    ("term", "options", "inputs"),
    [
        ("box", {}, [0]),
        ("class", {}, [1]),
        ("class", {"class_loss": "focal"}, [1]),
        ("class", {"class_loss": "focal", "focal_gamma": 0.5}, [1]),
        ("mask", {}, [2, 3]),
        ("mask", {"binary_masks": False}, [2, 3]),
        ("semantic", {}, [4]),
    ],
)
def test_each_term_agrees_with_finite_differences(term, options, inputs):
    leaves, priors, targets = scene()
    loss = MultiBoxLoss(**options)

    def compute(*_):
        return loss(TrainingPredictions(*leaves, priors), targets)[term]

    checked = [leaves[i] for i in inputs]
    assert compute() > 0
    assert torch.autograd.gradcheck(compute, checked, eps=1e-6, atol=1e-6, rtol=1e-5)


def test_the_sum_of_the_terms_agrees_with_finite_differences():
    leaves, priors, targets = scene()

    def compute(*_):
        terms = MultiBoxLoss()(TrainingPredictions(*leaves, priors), targets)
        return torch.stack(list(terms.values())).sum()

    assert torch.autograd.gradcheck(compute, leaves, eps=1e-6, atol=1e-6, rtol=1e-5)


def test_the_mask_iou_term_agrees_with_finite_differences():
    """For prototypes, coefficients and two of the net's parameters; its others are many."""
    leaves, priors, targets = scene()
    torch.manual_seed(0)
    net = MaskIouNet(CLASSES - 1).double()
    layers = net.maskiou_net
    for layer in layers[::2]:  # a net that does something: no rectified map is all zero
        fan_in = layer.weight[0].numel()
        torch.nn.init.uniform_(layer.weight, 0, 2.5 / fan_in)
    # A large weight: so small a mask moves the prediction but little.
    loss = MultiBoxLoss(mask_iou_least_area=4, mask_iou_weight=1e4)

    def compute(*_):
        predictions = TrainingPredictions(*leaves, priors)
        return loss(predictions, targets, mask_iou_net=net)["mask_iou"]

    compute().backward()
    checked = [leaves[2], leaves[3], layers[0].bias, layers[10].bias]
    assert all(leaf.grad.abs().max() > 0.01 for leaf in checked)
    assert torch.autograd.gradcheck(
        compute, checked, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True
    )
