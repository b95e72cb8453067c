# SPDX-License-Identifier: Apache-2.0
"""Trains a network on a data set in COCO's format."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from yolact_ros.checkpoints import read_metadata
from yolact_ros.datasets.coco import CocoDataset, read_dataset
from yolact_ros.errors import InputError
from yolact_ros.inference.device import cpu_multiplies_bf16
from yolact_ros.network import Yolact, build_network
from yolact_ros.presets import Preset, get_preset, preset_to_json, with_backbone, with_classes
from yolact_ros.training.data.augmentation import augmentation_named
from yolact_ros.training.data.loading import TrainingData
from yolact_ros.training.data.training_set import TrainingSet
from yolact_ros.training.losses.multibox import MultiBoxLoss

from .callbacks import FIGURES, BestWeights, LastCheckpoint, ProgressBar, write_weights
from .curve import draw_curve
from .module import TrainingError, TrainingModule
from .options import TrainingOptions
from .recipe import default_steps
from .run_folder import RunFolder, dataset_digest, describe_start
from .starting_weights import Start, start_backbone, start_from_weights

_LIGHTNING_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_FEW_FOR_NORMS = 6  # images a device, from which on batch norms are trained, as published
_log = logging.getLogger(__name__)


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
    if options.backbone is not None:
        preset = with_backbone(preset, options.backbone)
    options = _resolved(options, len(training))
    assert options.max_steps is not None and options.validate_every is not None
    torch.manual_seed(options.seed)
    network = build_network(preset)
    start = _start(network, options)
    module = _module(network, options, validation, frozen=_frozen_norms(options, start is not None))
    data = _data(options, training, validation, preset.input_size)
    folder = RunFolder(options.out)
    described = describe_start(command, options.seed)
    checkpoint = _begin(folder, options, preset, datasets, described)
    if options.resume and folder.last.is_file():
        _say(f"the run in {folder.path} is finished")
        return _finished(folder, options.max_steps)
    first_step = _first_step(checkpoint)
    _say(_introduction(options, module, len(training), start, first_step))
    best = BestWeights(folder.best, described)
    trainer = _trainer(options, folder, best, first_step, module.frozen_norms)
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    if trainer.interrupted:
        _say(f"interrupted; `--resume` goes on, from the checkpoint in {folder.path}")
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
    return "bf16" if cpu_multiplies_bf16() else "fp32"


def _module(
    network: Yolact, options: TrainingOptions, validation: CocoDataset, *, frozen: bool
) -> TrainingModule:
    recipe = options.recipe
    assert options.max_steps is not None
    return TrainingModule(
        network=network.to(memory_format=torch.channels_last),
        loss=MultiBoxLoss(class_loss=recipe.class_loss, binary_masks=recipe.binary_masks),
        recipe=recipe,
        validation=validation,
        steps=options.max_steps,
        batch=options.joined_batch,
        seed=options.seed,
        frozen_norms=frozen,
    )


def _data(
    options: TrainingOptions, training: CocoDataset, validation: CocoDataset, input_size: int
) -> TrainingData:
    assert options.max_steps is not None
    samples = TrainingSet(
        training,
        input_size=input_size,
        augmentation=augmentation_named(options.recipe.augmentation),
        seed=options.seed,
        length=options.max_steps * options.joined_batch,
    )
    return TrainingData(
        training=samples,
        validation=validation,
        steps=options.max_steps,
        batch_size=options.batch_size,
        workers=options.workers,
    )


def _resolved(options: TrainingOptions, images: int) -> TrainingOptions:
    """With every "auto" decided."""
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    found = torch.cuda.device_count() if device == "cuda" else options.devices
    if found < options.devices:
        raise InputError(
            f"devices: expected at most {found} on this machine, got {options.devices}"
        )
    batch = options.joined_batch
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
        raise InputError(
            f"{validation.annotation_file}: expected classes among those of "
            f"{training.annotation_file} ({', '.join(training.class_names)}), got besides "
            f"{', '.join(unknown)}"
        )


def _start(network: Yolact, options: TrainingOptions) -> Start | None:
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
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"])


def _trainer(
    options: TrainingOptions, folder: RunFolder, best: BestWeights, first_step: int, frozen: bool
) -> lightning.Trainer:
    recipe, world = options.recipe, options.devices * options.nodes
    assert options.max_steps is not None and options.validate_every is not None
    last = LastCheckpoint(
        folder.checkpoint,
        steps=options.max_steps,
        every=options.checkpoint_every,
        validated_every=options.validate_every,
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
        precision=_LIGHTNING_PRECISIONS[options.precision],  # type: ignore[arg-type]
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
        log_every_n_steps=min(max(options.max_steps // 100, 1), 20),
        enable_model_summary=False,
    )


def _finished(folder: RunFolder, steps: int) -> Trained:
    text = read_metadata(folder.best)
    return Trained(folder, steps, int(text["step"]), {name: float(text[name]) for name in FIGURES})


@rank_zero_only
def _finish(module: TrainingModule, folder: RunFolder, metadata: dict[str, str]) -> None:
    write_weights(module.network, folder.last, metadata)
    draw_curve(folder.log, folder.curve)


@rank_zero_only
def _say(text: str) -> None:
    print(text, flush=True)


def _introduction(
    options: TrainingOptions,
    module: TrainingModule,
    images: int,
    start: Start | None,
    first_step: int,
) -> str:
    preset, passes = module.network.preset, module.steps * module.batch / images
    lines = [
        f"{preset.name} for {len(preset.class_names)} classes: {', '.join(preset.class_names)}",
        f"{images} images; {module.steps} steps of {module.batch}, that is {passes:.1f} passes; "
        f"{options.device}, {options.precision}"
        + ("; batch norms frozen" if module.frozen_norms else ""),
        str(start) if start is not None else "all weights begin at random",
    ]
    if options.resume:
        lines.append(f"resumed from step {first_step}")
    return "\n".join(lines)
