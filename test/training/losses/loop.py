# SPDX-License-Identifier: Apache-2.0
"""The published losses written plainly, and random batches to compare them on."""

import torch
import torch.nn.functional as F
from torchvision.ops import box_iou

from yolact_ros.network.priors import level_sizes, make_priors
from yolact_ros.ops.boxes import center_to_corners, encode_boxes
from yolact_ros.ops.masks.crop import crop_masks
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.data.target import Target
from yolact_ros.training.losses.mask_targets import resize_masks


def looped_loss(predictions, targets, *, mask_iou_net=None, max_masks=100):
    """The terms of `MultiBoxLoss` with its default values, image by image.

    Each image needs an object, and none may have crowd regions.
    """
    names = ("box", "class", "mask", "mask_iou", "semantic")
    sums = {name: predictions.offsets.new_zeros(()) for name in names}
    positives = 0
    highest = predictions.class_logits.detach().max()
    for i, target in enumerate(targets):
        labels, objects = _match(predictions.priors, target)
        positive = (labels > 0).nonzero()[:, 0]
        positives += len(positive)
        encoded = encode_boxes(target.boxes[objects[positive]], predictions.priors[positive])
        offsets = predictions.offsets[i, positive]
        sums["box"] = sums["box"] + 1.5 * F.smooth_l1_loss(offsets, encoded, reduction="sum")

        logits = predictions.class_logits[i]
        with torch.no_grad():
            hardness = (logits - highest).exp().sum(dim=1).log() + highest - logits[:, 0]
            hardness[labels != 0] = 0
            hardest = hardness.argsort(descending=True)[: 3 * len(positive)]
            chosen = labels > 0
            chosen[hardest] |= labels[hardest] == 0
        entropy = F.cross_entropy(logits[chosen], labels[chosen], reduction="sum")
        sums["class"] = sums["class"] + entropy

        count = len(positive)
        if count > max_masks:
            shuffled = torch.randperm(count, device=positive.device)
            positive = positive[shuffled[:max_masks]]
        of = objects[positive]
        boxes, prototypes = target.boxes[of], predictions.prototypes[i]
        height, width = prototypes.shape[:2]
        true = (resize_masks(target.masks.float(), (height, width)) > 0.5).float()[of]  # (n, h, w)
        soft = torch.sigmoid(prototypes @ predictions.coefficients[i, positive].t())  # (h, w, n)
        soft = crop_masks(soft, boxes)
        cost = F.binary_cross_entropy(soft, true.permute(1, 2, 0), reduction="none")
        sides = boxes[:, 2:] - boxes[:, :2]
        area = sides[:, 0] * width * sides[:, 1] * height
        scale = 6.125 * count / len(positive)
        sums["mask"] = sums["mask"] + scale * (cost.sum(dim=(0, 1)) / area).sum()

        if mask_iou_net is not None and (large := true.sum(dim=(1, 2)) > 25).any():
            soft = soft.permute(2, 0, 1)[large]
            both = ((soft > 0.5) & (true[large] > 0.5)).sum(dim=(1, 2))
            either = ((soft > 0.5) | (true[large] > 0.5)).sum(dim=(1, 2))
            predicted = mask_iou_net(soft[:, None])
            predicted = predicted.gather(1, target.class_ids[of[large], None])[:, 0]
            difference = F.smooth_l1_loss(predicted, both / either, reduction="sum")
            sums["mask_iou"] = sums["mask_iou"] + 25 * difference

        logits = predictions.semantic_logits[i]
        true = resize_masks(target.masks.float(), logits.shape[1:]) > 0.5
        truth = torch.zeros_like(logits)
        for class_id, mask in zip(target.class_ids.tolist(), true, strict=True):
            truth[class_id] = torch.maximum(truth[class_id], mask.float())
        entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
        sums["semantic"] = sums["semantic"] + entropy / logits[0].numel()
    terms = {name: value / positives for name, value in sums.items()}
    terms["semantic"] = sums["semantic"] / len(targets)
    if mask_iou_net is None:
        del terms["mask_iou"]
    return terms


def _match(priors, target):
    """Labels and objects, each (P,), of one image."""
    iou = box_iou(target.boxes, center_to_corners(priors))  # (N, P)
    best, objects = iou.max(dim=0)
    for _ in range(len(target)):
        pair = iou.argmax()
        number, prior = pair // len(priors), pair % len(priors)
        iou[number] = -1
        iou[:, prior] = -1
        best[prior], objects[prior] = 2.0, number
    labels = target.class_ids[objects] + 1
    labels[best < 0.5] = -1
    labels[best < 0.4] = 0
    return labels, objects


def random_predictions(preset, batch, generator):
    """Predictions of a network's shapes and of usual size, as leaves that take gradients."""
    side = (preset.input_size, preset.input_size)
    cells = level_sizes(side, len(preset.prior_sizes))
    priors = make_priors(preset, side, cells)
    count, k = len(priors), preset.prototypes
    height, width = cells[0]

    def normal(*shape):
        return torch.randn(batch, *shape, generator=generator)

    logits = normal(count, preset.num_classes)
    logits[:, :, 0] += 3
    return TrainingPredictions(
        offsets=normal(count, 4).requires_grad_(),
        class_logits=logits.requires_grad_(),
        coefficients=normal(count, k).tanh().requires_grad_(),
        prototypes=normal(2 * height, 2 * width, k).relu().requires_grad_(),
        semantic_logits=(normal(preset.num_classes - 1, height, width) - 2).requires_grad_(),
        priors=priors,
    )


def random_target(preset, objects, generator):
    """Ellipses anywhere in the image, with masks at input resolution."""
    sizes = 0.05 * 12 ** torch.rand(objects, 2, generator=generator)
    corners = torch.rand(objects, 2, generator=generator) * (1 - sizes)
    pixels = (torch.arange(preset.input_size) + 0.5) / preset.input_size
    x, y = (
        (pixels - (corners + sizes / 2)[:, axis, None]) / (sizes / 2)[:, axis, None]
        for axis in (0, 1)
    )
    masks = x[:, None, :] ** 2 + y[:, :, None] ** 2 < 1
    class_ids = torch.randint(preset.num_classes - 1, (objects,), generator=generator)
    return Target(torch.cat([corners, corners + sizes], dim=1), class_ids, masks)
