# SPDX-License-Identifier: Apache-2.0
"""The options of a training run: as they were asked for, and with every choice made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from yolact_ros.choices import (
    CHECKPOINTS,
    FREEZE_NORMS,
    LOGGERS,
    TRAINING_DEVICES,
    TRAINING_PRECISIONS,
)
from yolact_ros.errors import InputError
from yolact_ros.inference.precision import time_convolution

from .recipe import Recipe, default_steps

_DATA = ("train", "train_images", "val", "val_images")
_PLACES = ("out", *_DATA, "workers", "checkpoint_every", "checkpoint_minutes", "loggers")
"""Options that do not affect the result."""
_OF_THE_START = ("classes", "resume", "data_changed")
"""Options that describe no run; the preset's definition has the classes."""


@dataclass(frozen=True)
class TrainingOptions:
    """A training run as it was asked for; `resolve` makes the choices that it leaves open.

    Attributes:
        preset: Architecture. Its classes are replaced by those of the training data.
        train, train_images: COCO annotation files to train on, and the image folder of each or one
            for all.
        val, val_images: The same for validation. Their classes must be among the training data's.
        out: Folder of the run, see `RunFolder`.
        recipe: Augmentation, losses, optimiser and learning rate.
        input_size: Side of the network's input in pixels; None: the preset's.
        classes: Names of the classes to take of the data; none: all.
        backbone: "torchvision:NAME" to replace the preset's backbone, see `with_backbone`.
        weights: A trained network to start from; None: see `backbone_weights`.
        weights_class_names: Names of the classes of `weights`, for a file that does not have them.
        backbone_weights: "imagenet" (torchvision's), "auto" (the same, if torchvision has this
            backbone), "none", or the path of a file with the weights of a backbone.
        max_steps: Total number of batches; None: `default_steps`.
        batch_size: Images per step and process.
        seed: Of new weights, sample order and augmentation.
        device: "auto", "cpu" or "cuda".
        devices, nodes: Processes per machine, and machines.
        precision: "auto", "fp32", "bf16" or "fp16". Losses, weights and optimiser always use fp32.
            "auto" is bf16 if a GPU multiplies matrices in it, otherwise fp16; on a CPU bf16 where a
            convolution is measured to be faster in it, otherwise fp32.
        freeze_norms: Whether batch norms keep their statistics and parameters: "yes", "no", or
            "auto": if there are weights to start from and fewer than six images per step and
            process.
        freeze_stages: Number of the backbone's first stages that stay as they are, with their batch
            norms; the first has the layers before it.
        repeat_threshold: Fraction of the images below which a class is rare and its images are
            shown more often, see `repeat_factors`; 0: all are shown alike.
        early_stopping: Validations without a better mask AP after which the run ends; None: it does
            all steps.
        validate_every: Steps between validations; None: one pass over the data, but at most 20
            validations in all.
        checkpoint_every: Steps between checkpoints; None: by time alone.
        checkpoint_minutes: Time between checkpoints.
        loggers: Where it logs to besides a CSV file, of `LOGGERS`.
        workers: Processes that make samples, per training process; 0: it makes its own.
        resume: Continue an interrupted run from its "last" checkpoint or the "previous" one; None:
            a new run.
        data_changed: Resume a run although files of its data have changed since.
        mend: Leave out or put right what has errors in the data, see `read_dataset`.

    Raises:
        InputError: A number or a word is not one of those above.
    """

    preset: str
    train: Sequence[Path]
    train_images: Sequence[Path]
    val: Sequence[Path]
    val_images: Sequence[Path]
    out: Path
    recipe: Recipe
    classes: Sequence[str] = ()
    input_size: int | None = None
    backbone: str | None = None
    weights: Path | None = None
    weights_class_names: Sequence[str] | None = None
    backbone_weights: str = "auto"
    max_steps: int | None = None
    batch_size: int = 8
    seed: int = 0
    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: str = "auto"
    freeze_norms: str = "auto"
    freeze_stages: int = 0
    repeat_threshold: float = 0.0
    early_stopping: int | None = None
    validate_every: int | None = None
    checkpoint_every: int | None = None
    checkpoint_minutes: float = 10.0
    loggers: Sequence[str] = ("tensorboard",)
    workers: int = 1
    resume: str | None = None
    data_changed: bool = False
    mend: bool = False

    def __post_init__(self) -> None:
        if self.weights_class_names and self.weights is None:
            raise InputError("weights_class_names: expected weights, whose classes they name")
        least = dict.fromkeys(("batch_size", "devices", "nodes"), 1)
        least |= dict.fromkeys(("max_steps", "validate_every", "checkpoint_every"), 1)
        least |= dict.fromkeys(("early_stopping", "input_size"), 1)
        least |= dict.fromkeys(("seed", "workers", "freeze_stages"), 0)
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise InputError(f"{name}: expected {bound} or more, got {value}")
        if not self.checkpoint_minutes > 0:
            raise InputError(
                f"checkpoint_minutes: expected more than 0, got {self.checkpoint_minutes}"
            )
        if not 0 <= self.repeat_threshold <= 1:
            raise InputError(f"repeat_threshold: expected 0 to 1, got {self.repeat_threshold}")
        if unknown := [name for name in self.loggers if name not in LOGGERS]:
            raise InputError(f"loggers: expected {', '.join(LOGGERS)}, got {unknown[0]!r}")
        for name, allowed in (
            ("resume", CHECKPOINTS),
            ("device", TRAINING_DEVICES),
            ("precision", TRAINING_PRECISIONS),
            ("freeze_norms", FREEZE_NORMS),
        ):
            if getattr(self, name) not in (None, *allowed):
                raise InputError(
                    f"{name}: expected {', '.join(allowed)}, got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class Run:
    """A training run with every choice made.

    Attributes:
        options: What was asked for. The attributes below replace those of the same meaning.
        device: "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16".
        steps: Total number of batches.
        batch: Images per step, over all processes.
        validate_every: Steps between validations, at most `steps`.
    """

    options: TrainingOptions
    device: str
    precision: str
    steps: int
    batch: int
    validate_every: int

    @property
    def processes(self) -> int:
        """Training processes, over all machines."""
        return self.options.devices * self.options.nodes

    def settings(self) -> dict[str, Any]:
        """Everything that affects the result."""
        settings = asdict(self.options) | {
            "joined_batch": self.batch,
            "device": self.device,
            "precision": self.precision,
            "max_steps": self.steps,
            "validate_every": self.validate_every,
            "weights": self.options.weights and self.options.weights.name,
        }
        return {k: v for k, v in settings.items() if k not in (*_PLACES, *_OF_THE_START)}

    def end(self) -> dict[str, str]:
        """The settings that decide where the run ends, for the metadata of its last weights."""
        return {"max_steps": str(self.steps), "early_stopping": str(self.options.early_stopping)}

    def places(self) -> dict[str, str]:
        """The options that do not affect the result."""
        values = {name: getattr(self.options, name) for name in _PLACES}
        lists = (*_DATA, "loggers")
        return {k: " ".join(map(str, v)) if k in lists else str(v) for k, v in values.items()}


def resolve(options: TrainingOptions, images: int, precision: str | None = None) -> Run:
    """Make the choices that the options leave open.

    Args:
        options: Of the run.
        images: Number of images to train on.
        precision: What "auto" was when the run was begun; None: it begins now.

    Raises:
        InputError: More devices are asked for than this machine has.
    """
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    found = torch.cuda.device_count() if device == "cuda" else options.devices
    if found < options.devices:
        raise InputError(
            f"devices: expected at most {found} on this machine, got {options.devices}"
        )
    batch = options.batch_size * options.devices * options.nodes
    steps = options.max_steps or default_steps(images, batch)
    every = options.validate_every or max(math.ceil(images / batch), math.ceil(steps / 20))
    return Run(
        options=options,
        device=device,
        precision=choose_precision(options.precision, device, precision),
        steps=steps,
        batch=batch,
        validate_every=min(every, steps),
    )


def choose_precision(precision: str, device: str, begun_in: str | None = None) -> str:
    """Replace "auto" by the fastest precision of the device that costs no relevant accuracy.

    Another measurement could come out differently, so a run that was begun keeps what it has.
    """
    if precision != "auto":
        return precision
    if begun_in is not None:
        return begun_in
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return time_convolution().faster
