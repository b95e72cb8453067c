# SPDX-License-Identifier: Apache-2.0
"""Trains a network on a data set in COCO's format."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from yolact_ros.data.augmentation import augmentation_named
from yolact_ros.data.coco import CocoDataset, read_dataset
from yolact_ros.data.training_set import TrainingSet
from yolact_ros.network import build_network
from yolact_ros.presets import Preset, get_preset, preset_to_json, with_classes

from .callbacks import BestWeights, LastCheckpoint, ProgressBar, write_weights
from .curve import draw_curve
from .loading import TrainingData
from .losses import MultiBoxLoss
from .module import TrainingError, TrainingModule
from .provenance import provenance
from .recipe import Recipe, default_steps
from .run_folder import RunFolder, dataset_digest
from .starting_weights import start_backbone, start_from_weights

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_FEW_FOR_NORMS = 6  # images a device, from which on batch norms are trained, as published
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingOptions:
    """One training run.

    Attributes:
        preset: Architecture; its classes are replaced by the training data's.
        train, train_images: Annotation file in COCO's format, and folder of its images.
        val, val_images: The same for validation. The classes have to be among the training data's.
        out: Folder of the run, see `RunFolder`.
        recipe: How to train.
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
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        for name in ("max_steps", "validate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected 1 or more, got {value}")
        for name in ("seed", "workers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        for name, allowed in (
            ("device", ("auto", "cpu", "cuda")),
            ("precision", ("auto", *PRECISIONS)),
            ("freeze_norms", ("auto", "yes", "no")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name}: expected {', '.join(allowed)}, got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class Trained:
    """What a run came to.

    Attributes:
        folder: Where everything lies.
        steps: Steps in all.
        best_step: That with the highest mask AP in validation.
        figures: Its "mask_ap", "mask_ap50", "box_ap" and "box_ap50", 0 to 1.
    """

    folder: RunFolder
    steps: int
    best_step: int
    figures: dict[str, float]


def train(options: TrainingOptions, command: str) -> Trained:
    """Trains, validates on the way, and leaves the weights in the run's folder.

    Args:
        options: The run.
        command: How this was called, for the run's folder and the weights' metadata.

    Raises:
        DatasetError: A data set has problems.
        RunError: The folder cannot be used.
        TrainingError: A loss is not finite, or the run was broken off.
        ValueError: Other options that do not fit.
    """
    datasets = (
        read_dataset(options.train, options.train_images),
        read_dataset(options.val, options.val_images),
    )
    training, validation = datasets
    _check_classes(training, validation)
    preset = with_classes(get_preset(options.preset), training.class_names)
    preset = replace(preset, category_ids=training.category_ids)
    options = _resolved(options, len(training))
    assert options.max_steps is not None and options.validate_every is not None
    torch.manual_seed(options.seed)
    network = build_network(preset)
    start = _start(network, options)
    frozen = _frozen_norms(options, start is not None)
    batch = options.batch_size * options.devices * options.nodes
    folder = RunFolder(options.out)
    described = provenance(command, options.seed)
    checkpoint = _begin(folder, options, preset, datasets, described)
    _say(
        _introduction(
            options, preset, training, batch, options.max_steps, frozen, start, checkpoint
        )
    )
    module = TrainingModule(
        network=network.to(memory_format=torch.channels_last),
        loss=MultiBoxLoss(
            class_loss=options.recipe.class_loss, binary_masks=options.recipe.binary_masks
        ),
        recipe=options.recipe,
        validation=validation,
        steps=options.max_steps,
        batch=batch,
        seed=options.seed,
        frozen_norms=frozen,
    )
    data = TrainingData(
        training=TrainingSet(
            training,
            input_size=preset.input_size,
            augmentation=augmentation_named(options.recipe.augmentation),
            seed=options.seed,
            length=options.max_steps * batch,
        ),
        validation=validation,
        steps=options.max_steps,
        batch_size=options.batch_size,
        workers=options.workers,
    )
    best = BestWeights(folder.best, described)
    trainer = _trainer(options, folder, best, _first_step(checkpoint), frozen)
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=False)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.global_step < options.max_steps:
        raise TrainingError(
            f"training: expected {options.max_steps} steps, got {trainer.global_step} before it "
            "ended; `--resume` goes on"
        )
    if best.measured_step < options.max_steps:
        trainer.validate(module, data, verbose=False)
    _finish(module, folder, {**described, "step": str(options.max_steps)})
    return Trained(folder, options.max_steps, best.step, best.figures)


def choose_precision(precision: str, device: str) -> str:
    """ "auto" to what the device computes fastest without losing accuracy that matters."""
    if precision != "auto":
        return precision
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # An older torch cannot tell: fp32 then.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    return "bf16" if capabilities is not None and capabilities().get("amx_bf16") else "fp32"


def _resolved(options: TrainingOptions, images: int) -> TrainingOptions:
    """With every "auto" decided."""
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    found = torch.cuda.device_count() if device == "cuda" else options.devices
    if found < options.devices:
        raise ValueError(
            f"devices: expected at most {found} on this machine, got {options.devices}"
        )
    batch = options.batch_size * options.devices * options.nodes
    steps = options.max_steps or default_steps(images, batch)
    every = options.validate_every or max(math.ceil(images / batch), math.ceil(steps / 20))
    return replace(
        options,
        device=device,
        precision=choose_precision(options.precision, device),
        max_steps=steps,
        validate_every=min(every, steps),
    )


def _check_classes(training: CocoDataset, validation: CocoDataset) -> None:
    if unknown := [name for name in validation.class_names if name not in training.class_names]:
        raise ValueError(
            f"{validation.annotation_file}: expected classes among those of "
            f"{training.annotation_file} ({', '.join(training.class_names)}), got besides "
            f"{', '.join(unknown)}"
        )


def _start(network: Any, options: TrainingOptions) -> Any:
    if options.weights is not None:
        return start_from_weights(network, options.weights)
    return start_backbone(network, options.backbone_weights)


def _frozen_norms(options: TrainingOptions, started: bool) -> bool:
    if options.freeze_norms == "auto":
        return started and options.batch_size < _FEW_FOR_NORMS
    return options.freeze_norms == "yes"


def _begin(
    folder: RunFolder,
    options: TrainingOptions,
    preset: Preset,
    datasets: Sequence[CocoDataset],
    described: dict[str, str],
) -> Path | None:
    """Opens the run's folder, on one process for all."""
    if os.environ.get("LOCAL_RANK", "0") != "0" or os.environ.get("NODE_RANK", "0") != "0":
        # Lightning starts these processes when the first one has opened the folder.
        return folder.checkpoint if options.resume and folder.checkpoint.is_file() else None
    free = {"out", "resume", "workers", "train", "train_images", "val", "val_images"}
    settings = {k: v for k, v in asdict(options).items() if k not in free}
    settings["weights"] = options.weights and options.weights.name
    settings["preset_definition"] = preset_to_json(preset)
    settings["train_sha256"], settings["val_sha256"] = map(dataset_digest, datasets)
    paths = {name: str(getattr(options, name)) for name in sorted(free - {"resume"})}
    return folder.begin(settings, {**described, **paths}, resume=options.resume)


def _first_step(checkpoint: Path | None) -> int:
    if checkpoint is None:
        return 0
    return int(torch.load(checkpoint, map_location="cpu", weights_only=False)["global_step"])


def _trainer(
    options: TrainingOptions, folder: RunFolder, best: BestWeights, first_step: int, frozen: bool
) -> lightning.Trainer:
    recipe, world = options.recipe, options.devices * options.nodes
    assert options.max_steps is not None and options.validate_every is not None
    last = LastCheckpoint(
        folder.checkpoint, every=options.checkpoint_every, validated_every=options.validate_every
    )
    averaging = [EMAWeightAveraging(decay=recipe.average)] if recipe.average else []
    # The best weights are written before averaging takes its weights back.
    callbacks: list[Callback] = [best, *averaging, last, ProgressBar(refresh_rate=10)]
    start = f"from_step_{first_step}"
    return lightning.Trainer(
        accelerator="gpu" if options.device == "cuda" else "cpu",
        devices=options.devices,
        num_nodes=options.nodes,
        strategy="ddp" if world > 1 else "auto",
        sync_batchnorm=world > 1 and options.device == "cuda" and not frozen,
        use_distributed_sampler=False,  # StepSampler shares out the samples
        precision=PRECISIONS[options.precision],  # type: ignore[arg-type]
        max_steps=options.max_steps,
        val_check_interval=options.validate_every,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.gradient_clip or None,
        callbacks=callbacks,
        enable_checkpointing=False,
        logger=[
            CSVLogger(folder.log, name="", version=start),
            TensorBoardLogger(folder.log, name="", version=start),
        ],
        log_every_n_steps=min(20, options.max_steps),
        enable_model_summary=False,
    )


@rank_zero_only
def _finish(module: TrainingModule, folder: RunFolder, metadata: dict[str, str]) -> None:
    write_weights(module.network, folder.last, metadata)
    draw_curve(folder.log, folder.curve)


@rank_zero_only
def _say(text: str) -> None:
    print(text, flush=True)


def _introduction(
    options: TrainingOptions,
    preset: Preset,
    training: CocoDataset,
    batch: int,
    steps: int,
    frozen: bool,
    start: Any,
    checkpoint: Path | None,
) -> str:
    lines = [
        f"{preset.name} for {len(preset.class_names)} classes: {', '.join(preset.class_names)}",
        f"{len(training)} images; {steps} steps of {batch}, that is "
        f"{steps * batch / len(training):.1f} passes; {options.device}, "
        f"{options.precision}" + ("; batch norms frozen" if frozen else ""),
        str(start) if start is not None else "all weights begin at random",
    ]
    if options.resume:
        found = f"from step {_first_step(checkpoint)}" if checkpoint else "from the beginning"
        lines.append(f"resumed {found}")
    return "\n".join(lines)
