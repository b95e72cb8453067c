# SPDX-License-Identifier: Apache-2.0
"""How a network is trained: augmentation, losses, optimiser and learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from yolact_ros.errors import InputError
from yolact_ros.training.data.augmentation import Augmentation, augmentation_named

REFERENCE_BATCH = 8
"""Batch size that learning rates refer to, see `Recipe.rate`."""
PUBLISHED_EPOCHS = 800_000 * REFERENCE_BATCH / 117_266
"""Passes over COCO's images with objects in the published 800,000 steps: 54.6."""
LEAST_STEPS = 3000
"""Lower limit of the default number of steps, however many passes over the images they are."""

# Fractions of all steps after which the published learning rate is divided by 10: 280, 600, 700
# and 750 of 800 thousand.
_MILESTONES = (0.35, 0.75, 0.875, 0.9375)
_WARM_UP_STEPS = 500
_WARM_UP_START = 0.1


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

        >>> from dataclasses import replace
        >>> recipe = replace(RECIPES["short"], learning_rate=5e-4, class_loss="focal")
        >>> recipe.optimizer, recipe.augmentation.mirror
        ('adamw', 0.5)

    Attributes:
        optimizer: "sgd" (momentum 0.9) with the published steps of the learning rate, or "adamw"
            with one cycle of it (Smith and Topin, 2018).
        learning_rate: Peak rate for a batch of `REFERENCE_BATCH` images over all processes; for
            another batch see `rate`.
        weight_decay: Of convolution weights; with "sgd" of biases and norms too, as published.
        augmentation: Random changes of the training images.
        empty_images: Whether images without objects are trained on, see `TrainingSet`.
        least_negatives: See `MultiBoxLoss`.
        binary_masks: See `MultiBoxLoss`.
        class_loss: "softmax" (published) or "focal".
        average: Decay per step of the exponential moving average of the weights, which is then
            validated and kept, 0 to below 1, see `averaging`; 0: the weights themselves.
        gradient_clip: Upper limit of the norm of the gradients; 0: no limit.

    Raises:
        InputError: A value is out of its range.
    """

    optimizer: str
    learning_rate: float
    weight_decay: float
    augmentation: Augmentation
    empty_images: bool = False
    least_negatives: int = 0
    binary_masks: bool = True
    class_loss: str = "softmax"
    average: float = 0.0
    gradient_clip: float = 0.0

    def __post_init__(self) -> None:
        if self.optimizer not in ("sgd", "adamw"):
            raise InputError(f"optimizer: expected sgd or adamw, got {self.optimizer!r}")
        for name in ("weight_decay", "gradient_clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate: expected more than 0, got {self.learning_rate}")
        if not 0 <= self.average < 1:
            raise InputError(f"average: expected 0 to below 1, got {self.average}")

    def rate(self, batch: int) -> float:
        """Return the peak learning rate for a number of images per step, over all processes.

        That of SGD is proportional to it (Goyal et al., 2017), that of AdamW, whose steps do not
        grow with the gradients, to its square root (Malladi et al., NeurIPS 2022).
        """
        times = batch / REFERENCE_BATCH
        return self.learning_rate * (times if self.optimizer == "sgd" else math.sqrt(times))

    def optimize(
        self, network: nn.Module, *, steps: int, batch: int
    ) -> tuple[torch.optim.Optimizer, LRScheduler]:
        """Make the optimiser, and the schedule that sets its learning rate after every step.

        Args:
            network: Parameters that need no gradient are left out.
            steps: Total number of steps.
            batch: Images per step, over all processes.
        """
        rate = self.rate(batch)
        parameters = [p for p in network.parameters() if p.requires_grad]
        if self.optimizer == "sgd":
            sgd = torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=self.weight_decay)
            return sgd, LambdaLR(sgd, lambda step: stepped_rate(step, steps))
        adamw = torch.optim.AdamW(_decayed_apart(parameters, self.weight_decay), lr=rate)
        return adamw, OneCycleLR(adamw, max_lr=rate, total_steps=steps + 1, pct_start=0.08)


RECIPES = {
    # Images without objects teach the published loss nothing, and are left out as in the authors'
    # training (dbolya/yolact at 902073d, data/coco.py, line 76).
    "published": Recipe(
        optimizer="sgd",
        learning_rate=1e-3,
        weight_decay=5e-4,
        augmentation=augmentation_named("published"),
    ),
    # The covered fraction of a prototype's pixel as target places edges between pixels, which
    # matters for a small network; the rest is what reaches a good network within minutes.
    "short": Recipe(
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.02,
        augmentation=augmentation_named("light"),
        empty_images=True,
        least_negatives=32,
        binary_masks=False,
        average=0.998,
        gradient_clip=10.0,
    ),
}
"""By name: "published" (YOLACT paper, section 6, and the authors' code), and "short", for minutes
to hours of training on few or simple pictures."""


def stepped_rate(step: int, steps: int) -> float:
    """Return the published learning rate at a step, as a fraction of the peak.

    It rises linearly from a tenth within the first 500 steps (or the first tenth of all steps, if
    that is less), and is divided by 10 at four steps.
    """
    rate = 0.1 ** sum(step >= round(part * steps) for part in _MILESTONES)
    warm_up = min(_WARM_UP_STEPS, steps // 10)
    if step < warm_up:
        rate *= _WARM_UP_START + (1 - _WARM_UP_START) * step / warm_up
    return rate


def averaging(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor], None]:
    """Make the function that moves the average of the weights on, for `AveragedModel`.

    The decay is warmed up: after n updates it is at most (1 + n) / (10 + n), as in TensorFlow's
    `ExponentialMovingAverage`. So it is of about the last tenth of a short run's steps, where a
    constant decay would keep a large part of the first step's weights.
    """

    def average(averaged: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor) -> None:
        count = int(updates)
        get_ema_multi_avg_fn(min(decay, (1 + count) / (10 + count)))(averaged, current, updates)

    return average


def default_steps(images: int, batch: int) -> int:
    """Return the steps of as many passes as published, but at least `LEAST_STEPS`."""
    return max(math.ceil(PUBLISHED_EPOCHS * images / batch), LEAST_STEPS)


def _decayed_apart(
    parameters: Iterable[nn.Parameter], weight_decay: float
) -> list[dict[str, object]]:
    listed = list(parameters)
    return [
        {"params": [p for p in listed if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in listed if p.ndim <= 1], "weight_decay": 0.0},
    ]
