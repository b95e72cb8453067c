# SPDX-License-Identifier: Apache-2.0
"""Losses of cases that can be computed by hand: four priors, one in each quarter of the image."""

import dataclasses
import math

import pytest
import torch

from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.data.target import Target
from yolact_ros.training.losses.multibox import MultiBoxLoss

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


def crowd_only():
    return dataclasses.replace(no_objects(), crowd_boxes=torch.tensor([[0.5, 0.0, 1.0, 1.0]]))


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


@pytest.mark.parametrize("crowd", [False, True])
def test_a_batch_without_objects_has_no_loss_but_the_semantic_one(crowd):
    made = predictions(images=2)
    leaves = [value.requires_grad_() for value in made[:5]]
    net = MaskIouNet(2)
    targets = [crowd_only() if crowd else no_objects(), no_objects()]
    terms = MultiBoxLoss()(made, targets, mask_iou_net=net)
    assert [terms[name].item() for name in ("box", "class", "mask", "mask_iou")] == [0] * 4
    assert terms["semantic"].item() == pytest.approx(2 * LN2)
    sum(terms.values()).backward()
    # Zero, not missing: distributed training waits for every gradient.
    for leaf in [*leaves[:4], *net.parameters()]:
        assert torch.equal(leaf.grad, torch.zeros_like(leaf))
    assert torch.allclose(leaves[4].grad, torch.full_like(leaves[4], 0.5 / 8))


def test_an_image_without_objects_adds_nothing_beside_one_with():
    alone = MultiBoxLoss()(predictions(), [quarter_target()])
    beside = MultiBoxLoss()(predictions(images=2), [quarter_target(), no_objects()])
    for name in ("box", "class", "mask"):
        assert beside[name].item() == pytest.approx(alone[name].item())


def test_images_without_objects_teach_the_classes_if_wanted():
    loss = MultiBoxLoss(least_negatives=2)
    made = predictions(images=2)
    logits = made.class_logits.requires_grad_()
    terms = loss(made, [no_objects(), crowd_only()])
    # Two negatives of each, which stand for two thirds of a positive.
    assert terms["class"].item() == pytest.approx(2 * 2 * LN3 / (2 * 2 / 3))
    assert [terms[name].item() for name in ("box", "mask")] == [0, 0]
    terms["class"].backward()
    taught = (logits.grad.abs().sum(dim=2) > 0).sum(dim=1)
    assert taught.tolist() == [2, 2]
    assert (logits.grad[..., 0] <= 0).all(), "towards the background"
    alone = loss(predictions(), [quarter_target()])
    beside = loss(predictions(images=2), [quarter_target(), no_objects()])
    assert alone["class"].item() == pytest.approx(4 * LN3)
    assert beside["class"].item() == pytest.approx(6 * LN3 / (1 + 2 / 3))
    for name in ("box", "mask"):
        assert beside[name].item() == pytest.approx(alone[name].item())


def test_too_many_masks_are_sampled_and_scaled_up():
    target = quarter_target([0, 1, 2])
    every = MultiBoxLoss()(predictions(), [target])["mask"]
    some = MultiBoxLoss(max_masks=1)(predictions(), [target])["mask"]
    assert some.item() == pytest.approx(every.item())  # the three are alike


def test_which_masks_are_sampled_follows_the_global_seed():
    """The seven positives differ in their coefficients, and so do their masks' losses."""
    priors = torch.tensor([[0.25, 0.25, 0.5, 0.5]]).repeat(7, 1)
    made = predictions(
        offsets=torch.zeros(1, 7, 4),
        class_logits=torch.zeros(1, 7, 3),
        coefficients=torch.arange(7.0)[None, :, None],
        priors=priors,
    )
    found = []
    for seed in (0, 0, 1, 2, 3):
        torch.manual_seed(seed)
        found.append(MultiBoxLoss(max_masks=2)(made, [quarter_target()])["mask"].item())
    assert found[0] == found[1]
    assert len(set(found)) > 1


def test_the_mask_iou_loss_sees_large_masks_up_to_a_limit():
    class Net(torch.nn.Module):
        def forward(self, masks):
            return masks.new_full((len(masks), 2), 3.0)

    target = quarter_target([0, 1, 2], extra_pixels=[(3, 3)])
    target.masks[0] = quarter_target([0]).masks[0]  # 4 pixels; the others have 5
    for options, count in (({}, 0), ({"mask_iou_least_area": 4}, 2), ({"max_mask_ious": 1}, 1)):
        loss = MultiBoxLoss(**({"mask_iou_least_area": 3} | options if options else {}))
        term = loss(predictions(), [target], mask_iou_net=Net())["mask_iou"]
        # Nothing is above 0.5, so each IoU is 0; smooth L1 of 3 is 2.5; three positives.
        assert term.item() == pytest.approx(25 * 2.5 * count / 3)


def test_a_crowd_takes_its_priors_out_of_the_class_term_only():
    target = dataclasses.replace(
        quarter_target([0, 1]), crowd_boxes=torch.tensor([[0.0, 0.0, 1.0, 0.5], [0.5, 0.5, 1, 1]])
    )
    without = MultiBoxLoss()(predictions(), [quarter_target([0, 1])])
    terms = MultiBoxLoss()(predictions(), [target])
    # Both positives lie in a crowd and stay positives; of the two negatives one is left.
    assert without.pop("class").item() == pytest.approx(4 * LN3 / 2)
    assert terms.pop("class").item() == pytest.approx(3 * LN3 / 2)
    assert {name: value.item() for name, value in terms.items()} == {
        name: value.item() for name, value in without.items()
    }


def test_more_objects_than_priors_are_refused():
    with pytest.raises(ValueError, match=r"objects: expected at most 4 \(one per prior\), got 5"):
        MultiBoxLoss()(predictions(), [quarter_target([0, 1, 2, 3, 0])])


def test_boxes_thinner_than_a_pixel_or_beyond_the_image_have_a_finite_loss():
    boxes = torch.tensor([[0.5, 0.2, 0.5001, 0.7], [1.2, 0.0, 1.5, 0.5]])
    target = Target(boxes, torch.tensor([0, 1]), torch.zeros(2, 4, 4))
    made = predictions()
    leaves = [value.requires_grad_() for value in made[:5]]
    terms = MultiBoxLoss()(made, [target])
    sum(terms.values()).backward()
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves)
    # The first one's crop keeps columns 1 to 3 and four rows; the second one's keeps nothing.
    assert terms["mask"].item() == pytest.approx(6.125 * 12 * LN2 / (0.0004 * 2) / 2, rel=1e-3)


def test_semantic_truth_merges_the_objects_of_a_class():
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1, :, 0] = 20.0  # the left half is certainly of class 1
    logits[0, 1, :, 1] = -20.0
    terms = MultiBoxLoss()(predictions(semantic_logits=logits), [quarter_target([0, 2])])
    assert terms["semantic"].item() == pytest.approx(LN2, abs=1e-6)  # of class 0, undecided


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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"class_loss": "hinge"}, "class_loss: expected softmax or focal, got 'hinge'"),
        ({"focal_alpha": 1.5}, "focal_alpha, focal_gamma: expected"),
        ({"focal_gamma": -1.0}, "focal_alpha, focal_gamma: expected"),
        ({"negative_iou": 0.6}, "negative_iou, positive_iou: expected"),
        ({"max_masks": 0}, "max_masks: expected 1 or more, got 0"),
        ({"max_mask_ious": 0}, "max_mask_ious: expected 1 or more, got 0"),
    ],
)
def test_wrong_options_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        MultiBoxLoss(**values)
