# SPDX-License-Identifier: Apache-2.0
"""What a training run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yolact_ros.choices import PRECISIONS
from yolact_ros.errors import InputError

from .recipe import Recipe


@dataclass(frozen=True)
class TrainingOptions:
    """One training run.

    Attributes:
        preset: Architecture; its classes are replaced by the training data's.
        train, train_images: Annotation file in COCO's format, and folder of its images.
        val, val_images: The same for validation. The classes have to be among the training data's.
        out: Folder of the run, see `RunFolder`.
        recipe: How to train.
        backbone: "torchvision:NAME" instead of the preset's backbone, see `with_backbone`.
        weights: A trained network to begin with; None: see `backbone_weights`.
        backbone_weights: "auto": torchvision's ImageNet weights where there are some for the
            backbone; "imagenet"; "none"; or a file of torchvision's.
        max_steps: Batches in all; None: `default_steps`.
        batch_size: Images a step and process.
        seed: Of new weights, order, augmentation.
        device: "auto", "cpu" or "cuda".
        devices, nodes: Processes on each machine, and machines.
        precision: "auto", "fp32", "bf16" or "fp16". Losses, weights and optimiser are always in
            fp32. "auto" takes bf16 where the device multiplies matrices in it, otherwise fp16 on
            CUDA and fp32 on a CPU.
        freeze_norms: "auto" (with weights to begin with and fewer than six images a step and
            process), "yes" or "no".
        validate_every: Steps between validations; None: one pass, but at most 20 in all.
        checkpoint_every: Steps between checkpoints.
        workers: Processes that make samples, for each training process.
        resume: Go on with an interrupted run.
    """

    preset: str
    train: Path
    train_images: Path
    val: Path
    val_images: Path
    out: Path
    recipe: Recipe
    backbone: str | None = None
    weights: Path | None = None
    backbone_weights: str = "auto"
    max_steps: int | None = None
    batch_size: int = 8
    seed: int = 0
    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: str = "auto"
    freeze_norms: str = "auto"
    validate_every: int | None = None
    checkpoint_every: int = 200
    workers: int = 1
    resume: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "devices", "nodes", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        for name in ("max_steps", "validate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}: expected 1 or more, got {value}")
        for name in ("seed", "workers"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        for name, allowed in (
            ("device", ("auto", "cpu", "cuda")),
            ("precision", PRECISIONS),
            ("freeze_norms", ("auto", "yes", "no")),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name}: expected {', '.join(allowed)}, got {getattr(self, name)!r}"
                )

    @property
    def joined_batch(self) -> int:
        """Images in a step, over all processes."""
        return self.batch_size * self.devices * self.nodes
