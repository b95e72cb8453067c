# SPDX-License-Identifier: Apache-2.0
"""Losses of cases that can be computed by hand: four priors, one in each quarter of the image."""

import math

import pytest
import torch

from yolact_ros.data.target import Target
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.losses import MultiBoxLoss

QUARTERS = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
LN2, LN3 = math.log(2), math.log(3)


def predictions(images=1, **changes):
    """All zero, so every class and every pixel is as likely as not; one prototype of ones, 4x4."""
    values = {
        "offsets": torch.zeros(images, 4, 4),
        "class_logits": torch.zeros(images, 4, 3),
        "coefficients": torch.zeros(images, 4, 1),
        "prototypes": torch.ones(images, 4, 4, 1),
        "semantic_logits": torch.zeros(images, 2, 2, 2),
        "priors": torch.tensor([[*center, 0.5, 0.5] for center in QUARTERS]),
    }
    return TrainingPredictions(**(values | changes))


def quarter_target(quarters=(0,), class_id=1, extra_pixels=()):
    boxes, masks = [], torch.zeros(len(quarters), 4, 4)
    for mask, quarter in zip(masks, quarters, strict=True):
        x, y = QUARTERS[quarter]
        boxes.append([x - 0.25, y - 0.25, x + 0.25, y + 0.25])
        row, column = int(y * 4) - 1, int(x * 4) - 1
        mask[row : row + 2, column : column + 2] = 1
        for pixel in extra_pixels:
            mask[pixel] = 1
    return Target(torch.tensor(boxes), torch.full((len(boxes),), class_id), masks)


def no_objects():
    return Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4, 4))


def test_terms_of_one_object():
    offsets = torch.zeros(1, 4, 4)
    offsets[0, 0] = torch.tensor([0.5, 2.0, 0.0, 0.0])  # smooth L1: 0.125 + 1.5
    terms = MultiBoxLoss()(predictions(offsets=offsets), [quarter_target()])
    assert terms["box"].item() == pytest.approx(1.5 * 1.625)
    assert terms["class"].item() == pytest.approx(4 * LN3)  # one positive, three negatives
    # The crop is the 2x2 quarter and one pixel more: 9 pixels at one half, over an area of 4.
    assert terms["mask"].item() == pytest.approx(6.125 * 9 * LN2 / 4)
    assert terms["semantic"].item() == pytest.approx(2 * LN2)


def test_weights_are_arguments():
    loss = MultiBoxLoss(box_weight=0, class_weight=2, mask_weight=1, semantic_weight=3)
    terms = loss(predictions(), [quarter_target()])
    assert terms["class"].item() == pytest.approx(8 * LN3)
    assert terms["mask"].item() == pytest.approx(9 * LN2 / 4)
    assert terms["semantic"].item() == pytest.approx(6 * LN2)
    assert terms["box"].item() == 0


def test_a_true_pixel_beyond_the_crop_costs_100():
    target = quarter_target(extra_pixels=[(3, 3)])
    terms = MultiBoxLoss(mask_weight=1)(predictions(), [target])
    assert terms["mask"].item() == pytest.approx((9 * LN2 + 100) / 4)


@pytest.mark.parametrize(("binary", "true_part"), [(True, 0.0), (False, 0.4)])
def test_partly_covered_pixels(binary, true_part):
    """Four pixels covered by 0.4: thresholded they are background, else they are 0.4 of each."""
    whole = quarter_target()
    target = Target(whole.boxes, whole.class_ids, whole.masks * 0.4)
    coefficients = torch.full((1, 4, 1), 1.0)
    inside, outside = math.log1p(math.exp(-1)), math.log1p(math.e)  # -log s, -log(1 - s)
    expected = 4 * true_part * inside + 4 * (1 - true_part) * outside + 5 * outside
    terms = MultiBoxLoss(mask_weight=1, binary_masks=binary)(
        predictions(coefficients=coefficients), [target]
    )
    assert terms["mask"].item() == pytest.approx(expected / 4)


def test_divided_by_the_positives_of_the_whole_batch():
    both = MultiBoxLoss()(predictions(images=2), [quarter_target([0]), quarter_target([1, 2])])
    # Image 1 has one positive and three negatives, image 2 two positives and its two negatives.
    assert both["class"].item() == pytest.approx(8 * LN3 / 3)
    # Quarter 0 keeps 9 pixels of its crop, quarters 1 and 2 too: all touch two sides.
    assert both["mask"].item() == pytest.approx(6.125 * 9 * LN2 / 4)
    assert both["semantic"].item() == pytest.approx(2 * LN2)


def test_a_batch_without_objects_has_no_loss_but_the_semantic_one():
    made = predictions()
    leaves = [value.requires_grad_() for value in made[:5]]
    terms = MultiBoxLoss()(made, [no_objects()])
    assert [terms[name].item() for name in ("box", "class", "mask")] == [0, 0, 0]
    assert terms["semantic"].item() == pytest.approx(2 * LN2)
    sum(terms.values()).backward()
    for leaf in leaves[:4]:
        assert torch.equal(leaf.grad, torch.zeros_like(leaf))
    assert torch.allclose(leaves[4].grad, torch.full_like(leaves[4], 0.5 / 4))


def test_an_image_without_objects_adds_nothing_beside_one_with():
    alone = MultiBoxLoss()(predictions(), [quarter_target()])
    beside = MultiBoxLoss()(predictions(images=2), [quarter_target(), no_objects()])
    for name in ("box", "class", "mask"):
        assert beside[name].item() == pytest.approx(alone[name].item())


def test_too_many_masks_are_sampled_and_scaled_up():
    target = quarter_target([0, 1, 2])
    every = MultiBoxLoss()(predictions(), [target])["mask"]
    some = MultiBoxLoss(max_masks=1)(predictions(), [target])["mask"]
    assert some.item() == pytest.approx(every.item())  # the three are alike


def test_semantic_truth_merges_the_objects_of_a_class():
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1, :, 0] = 20.0  # the left half is certainly of class 1
    logits[0, 1, :, 1] = -20.0
    terms = MultiBoxLoss()(predictions(semantic_logits=logits), [quarter_target([0, 2])])
    assert terms["semantic"].item() == pytest.approx(LN2, abs=1e-6)  # of class 0, undecided


def test_gradients_agree_with_finite_differences():
    torch.manual_seed(0)
    made = [torch.randn(shape, dtype=torch.float64) for shape in ((1, 4, 4), (1, 4, 3), (1, 4, 2))]
    prototypes = torch.rand((1, 4, 4, 2), dtype=torch.float64)
    semantic = torch.randn((1, 2, 2, 2), dtype=torch.float64)
    leaves = [value.requires_grad_() for value in (*made, prototypes, semantic)]
    target = quarter_target([0, 3])
    target = Target(target.boxes.double(), target.class_ids, target.masks)
    priors = predictions().priors.double()
    loss = MultiBoxLoss()

    def total(*values):
        terms = loss(TrainingPredictions(*values, priors), [target])
        return sum(terms.values())

    assert torch.autograd.gradcheck(total, leaves, eps=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    ("boxes", "masks", "message"),
    [
        ([[0.1, 0.1, 0.1, 0.5]], (1, 4, 4), "boxes: expected x1 < x2"),
        ([[0.1, 0.1, 0.4, 0.5]], (2, 4, 4), "masks: expected shape"),
        ([[0.1, 0.1, 0.4, 0.5]] * 2, (1, 4, 4), "boxes: expected shape"),
    ],
)
def test_targets_refuse_contradictions(boxes, masks, message):
    with pytest.raises(ValueError, match=message):
        Target(torch.tensor(boxes), torch.zeros(1, dtype=torch.int64), torch.zeros(masks))


def test_one_target_an_image():
    with pytest.raises(ValueError, match="targets: expected one for each of 2 images, got 1"):
        MultiBoxLoss()(predictions(images=2), [quarter_target()])
