# SPDX-License-Identifier: Apache-2.0
"""Time and peak memory of the losses, against a straightforward loop over the images."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from yolact_ros.bench.memory import peak_memory, reset_peak_memory
from yolact_ros.errors import InputError
from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.network.priors import level_sizes, make_priors
from yolact_ros.ops.boxes import center_to_corners, encode_boxes
from yolact_ros.ops.masks.crop import crop_masks
from yolact_ros.presets import Preset
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.data.target import Target
from yolact_ros.training.losses.mask_targets import resize_masks
from yolact_ros.training.losses.multibox import MultiBoxLoss

Terms = dict[str, Tensor]


def looped_loss(
    predictions: TrainingPredictions,
    targets: Sequence[Target],
    *,
    mask_iou_net: MaskIouNet | None = None,
    max_masks: int = 100,
) -> Terms:
    """The published losses written plainly: image by image, with whole masks kept for autograd.

    What `MultiBoxLoss` with its default values is compared with.

    Args:
        predictions: Of B images.
        targets: One an image, each with at least one object and without crowd regions.
        mask_iou_net: As for `MultiBoxLoss`.
        max_masks: As for `MultiBoxLoss`.
    """
    names = ("box", "class", "mask", "mask_iou", "semantic")
    sums: Terms = {name: predictions.offsets.new_zeros(()) for name in names}
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


def _match(priors: Tensor, target: Target) -> tuple[Tensor, Tensor]:
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


@dataclass(frozen=True)
class Cost:
    """Of the loss's forward and backward pass.

    Attributes:
        milliseconds: Median time.
        megabytes: Highest memory above that of the predictions and targets, in 10^6 bytes: resident
            memory of the process on the CPU, allocated memory on a GPU.
    """

    milliseconds: float
    megabytes: float


@dataclass(frozen=True)
class LossCost:
    """The losses' cost beside the loop's.

    Attributes:
        preset, batch, objects, repeats: What was measured, objects being those of each image.
        device: "cpu" or the GPU's name.
        threads: Of the CPU.
        positives: Positive priors of the batch.
        loop: `looped_loss`.
        batched: `MultiBoxLoss`.
        loss: Sum of the terms.
        difference: Largest relative difference of a term.
        gradient_difference: Largest difference of a gradient, relative to the largest value of its
            tensor.
    """

    preset: str
    batch: int
    objects: int
    repeats: int
    device: str
    threads: int
    positives: int
    loop: Cost
    batched: Cost
    loss: float
    difference: float
    gradient_difference: float


def measure_loss_cost(
    preset: Preset,
    *,
    batch: int = 8,
    objects: int = 20,
    repeats: int = 10,
    device: torch.device | None = None,
    seed: int = 0,
) -> LossCost:
    """Measures both ways on the same random predictions and objects.

    Args:
        preset: Gives the shapes; with a mask-IoU net that loss is measured along.
        batch: Images.
        objects: Of each image: ellipses with sides of 5 % to 60 % of the image.
        repeats: Timed runs of each way, in turns.
        device: CPU if None.
        seed: Of predictions and objects.

    Raises:
        ValueError: A number is below 1, or the peak memory cannot be measured here.
    """
    for name, value in (("batch", batch), ("objects", objects), ("repeats", repeats)):
        if value < 1:
            raise InputError(f"{name}: expected 1 or more, got {value}")
    device = device or torch.device("cpu")
    generator = torch.Generator().manual_seed(seed)
    predictions = random_predictions(preset, batch, generator, device)
    targets = [random_target(preset, objects, generator).to(device) for _ in range(batch)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = MaskIouNet(preset.num_classes - 1).to(device) if preset.mask_iou else None
    loss = MultiBoxLoss()
    leaves = [*predictions[:5], *(net.parameters() if net else ())]
    ways: tuple[Callable[..., Terms], ...] = (looped_loss, loss)

    def run(compute: Callable[..., Terms]) -> Terms:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)  # both ways draw the same masks
            for leaf in leaves:
                leaf.grad = None
            terms = compute(predictions, targets, mask_iou_net=net)
            torch.stack(list(terms.values())).sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return {name: value.detach() for name, value in terms.items()}

    results = []
    for compute in ways:
        terms = run(compute)  # the first run also starts threads and fills caches
        results.append((terms, [leaf.grad for leaf in leaves]))
    (loop_terms, loop_gradients), (terms, gradients) = results
    differences = [
        float((terms[name] - loop_terms[name]).abs() / loop_terms[name].abs()) for name in terms
    ]
    gradient_differences = [
        float((one - other).abs().max() / one.abs().max().clamp(min=1e-12))
        for one, other in zip(loop_gradients, gradients, strict=True)
        if one is not None and other is not None
    ]
    del results, loop_gradients, gradients
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for compute, taken in zip(ways, times, strict=True):
            start = time.perf_counter()
            run(compute)
            taken.append((time.perf_counter() - start) * 1e3)
    memory = []
    for compute in ways:
        for leaf in leaves:
            leaf.grad = None
        memory.append(_peak_of(run, compute, device))
    labels = loss.match(predictions.priors, targets).labels
    return LossCost(
        preset=preset.name,
        batch=batch,
        objects=objects,
        repeats=repeats,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=torch.get_num_threads(),
        positives=int((labels > 0).sum()),
        loop=Cost(statistics.median(times[0]), memory[0]),
        batched=Cost(statistics.median(times[1]), memory[1]),
        loss=float(sum(terms.values())),
        difference=max(differences),
        gradient_difference=max(gradient_differences),
    )


def random_predictions(
    preset: Preset, batch: int, generator: torch.Generator, device: torch.device
) -> TrainingPredictions:
    """Predictions of a network's shapes and of usual size, as leaves that take gradients."""
    side = (preset.input_size, preset.input_size)
    cells = level_sizes(side, len(preset.prior_sizes))
    priors = make_priors(preset, side, cells)
    count, k = len(priors), preset.prototypes
    height, width = cells[0]

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator)

    def leaf(values: Tensor) -> Tensor:
        return values.to(device).requires_grad_()

    logits = normal(count, preset.num_classes)
    logits[:, :, 0] += 3
    return TrainingPredictions(
        offsets=leaf(normal(count, 4)),
        class_logits=leaf(logits),
        coefficients=leaf(normal(count, k).tanh()),
        prototypes=leaf(normal(2 * height, 2 * width, k).relu()),
        semantic_logits=leaf(normal(preset.num_classes - 1, height, width) - 2),
        priors=priors.to(device),
    )


def random_target(preset: Preset, objects: int, generator: torch.Generator) -> Target:
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


def _peak_of(
    run: Callable[[Callable[..., Terms]], Terms], way: Callable[..., Terms], device: torch.device
) -> float:
    """Highest memory above that before, in MB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run(way)
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    before = reset_peak_memory()
    run(way)
    return (peak_memory() - before) / 1e6
