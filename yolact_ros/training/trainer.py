# SPDX-License-Identifier: Apache-2.0
"""Trains a network on a data set in COCO's format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from yolact_ros.checkpoints import CheckpointError, read_metadata
from yolact_ros.checkpoints.reading import read_pickled
from yolact_ros.datasets.coco import CocoDataset
from yolact_ros.datasets.merge import read_datasets
from yolact_ros.errors import InputError
from yolact_ros.network import build_network
from yolact_ros.presets import Preset, get_preset, preset_to_json, with_backbone, with_classes
from yolact_ros.training.data.augmentation import augmentation_named
from yolact_ros.training.data.loading import TrainingData
from yolact_ros.training.data.training_set import TrainingSet
from yolact_ros.training.losses.multibox import MultiBoxLoss

from .callbacks import FIGURES, BestWeights, LastCheckpoint, ProgressBar, write_weights
from .module import TrainingError, TrainingModule
from .options import Run, TrainingOptions, resolve
from .plots import draw_curve
from .run_folder import (
    RunError,
    RunFolder,
    dataset_digest,
    describe_start,
    is_first_process,
    picture_digests,
)
from .starting_weights import Start, start_backbone, start_from_weights
from .validation import Validator

_LIGHTNING_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_FEW_FOR_NORMS = 6  # images per device, from which on batch norms are trained, as published


@dataclass(frozen=True)
class Trained:
    """The result of a run.

    Attributes:
        folder: Holds all files of the run.
        steps: Total number of steps.
        best_step: Step of the highest mask AP in validation.
        figures: "mask_ap", "mask_ap50", "box_ap" and "box_ap50" of that step, 0 to 1.
    """

    folder: RunFolder
    steps: int
    best_step: int
    figures: dict[str, float]

    def __str__(self) -> str:
        figures = self.figures
        return (
            f"best at step {self.best_step} of {self.steps}: mask AP {figures['mask_ap']:.3f}, "
            f"AP50 {figures['mask_ap50']:.3f}; box AP {figures['box_ap']:.3f}, "
            f"AP50 {figures['box_ap50']:.3f}\n"
            f"{self.folder.best}"
        )


class _Data(NamedTuple):
    """What is trained and validated on, and the preset with the classes of the training data."""

    training: CocoDataset
    validation: CocoDataset
    preset: Preset


def train(options: TrainingOptions, command: str) -> Trained:
    """Train, validate on the way, and leave the weights in the run's folder.

    Args:
        options: Of the run.
        command: The command line, for the run's folder and the metadata of the weights.

    Raises:
        DatasetError: A data set has problems.
        RunError: The folder cannot be used.
        TrainingError: A loss is not finite, or the run ended early.
        InputError: Other options do not fit.
    """
    data = _read_data(options)
    folder, described = RunFolder(options.out), describe_start(command, options.seed)
    is_begun = options.resume or not is_first_process()
    run = resolve(options, len(data.training), folder.precision if is_begun else None)
    module, start = _make_module(data.preset, run)
    loaders = _make_loaders(data, run)
    checkpoint = _open_folder(folder, run, data, described)
    if options.resume and folder.last.is_file():
        _say(f"the run in {folder.path} is finished")
        text = read_metadata(folder.best)
        best_step, figures = int(text["step"]), {name: float(text[name]) for name in FIGURES}
    else:
        first_step = _step_of(checkpoint)
        _say(_introduction(run, module, start, len(data.training), first_step))
        best = BestWeights(Validator(data.validation), folder.best, described)
        trainer = _make_trainer(run, folder, best, first_step, module.frozen_norms)
        _fit(trainer, module, loaders, checkpoint, best, run)
        if is_first_process():
            write_weights(module.network, folder.last, {**described, "step": str(run.steps)})
            draw_curve(folder.log, folder.curve)
        best_step, figures = best.step, best.figures
    trained = Trained(folder, run.steps, best_step, figures)
    _say(str(trained))
    return trained


def _read_data(options: TrainingOptions) -> _Data:
    classes, mend = options.classes, options.mend
    training = read_datasets(options.train, options.train_images, classes, mend=mend)
    validation = read_datasets(options.val, options.val_images, classes, mend=mend)
    for name, dataset in (("train", training), ("val", validation)):
        if lack := dataset.lack_of_objects:
            raise InputError(f"{name}: {dataset.annotation_file}: {lack}")
        for remark in dataset.remarks:
            _say(remark)
    if unknown := [name for name in validation.class_names if name not in training.class_names]:
        raise InputError(
            f"{', '.join(map(str, options.val))}: expected classes among those of "
            f"{', '.join(map(str, options.train))} ({', '.join(training.class_names)}), got "
            f"besides {', '.join(unknown)}"
        )
    preset = with_classes(get_preset(options.preset), training.class_names)
    preset = replace(preset, category_ids=training.category_ids)
    if options.backbone is not None:
        preset = with_backbone(preset, options.backbone)
    return _Data(training, validation, preset)


def _make_module(preset: Preset, run: Run) -> tuple[TrainingModule, Start | None]:
    """Make the network with its starting weights; without any, they are random."""
    options, recipe = run.options, run.options.recipe
    torch.manual_seed(options.seed)
    network = build_network(preset)
    if options.weights is not None:
        start: Start | None = start_from_weights(
            network, options.weights, options.weights_class_names or ()
        )
    else:
        start = start_backbone(network, options.backbone_weights)
    frozen_norms = options.freeze_norms == "yes"
    if options.freeze_norms == "auto":
        frozen_norms = start is not None and options.batch_size < _FEW_FOR_NORMS
    module = TrainingModule(
        network=network.to(memory_format=torch.channels_last),
        loss=MultiBoxLoss(class_loss=recipe.class_loss, binary_masks=recipe.binary_masks),
        optimize=partial(recipe.optimize, steps=run.steps, batch=run.batch),
        seed=options.seed,
        frozen_norms=frozen_norms,
    )
    return module, start


def _make_loaders(data: _Data, run: Run) -> TrainingData:
    options = run.options
    return TrainingData(
        training=TrainingSet(
            data.training,
            input_size=data.preset.input_size,
            augmentation=augmentation_named(options.recipe.augmentation),
            seed=options.seed,
            length=run.steps * run.batch,
        ),
        validation=data.validation,
        steps=run.steps,
        batch_size=options.batch_size,
        workers=options.workers,
    )


def _make_trainer(
    run: Run, folder: RunFolder, best: BestWeights, first_step: int, frozen_norms: bool
) -> lightning.Trainer:
    options, recipe = run.options, run.options.recipe
    last = LastCheckpoint(
        path=folder.checkpoint,
        every=options.checkpoint_every,
        validated_every=run.validate_every,
    )
    averaging = [EMAWeightAveraging(decay=recipe.average)] if recipe.average else []
    # The best weights are written before averaging takes its weights back.
    callbacks: list[Callback] = [best, *averaging, last, ProgressBar(refresh_rate=10)]
    version = f"from_step_{first_step}"
    return lightning.Trainer(
        accelerator="gpu" if run.device == "cuda" else "cpu",
        devices=options.devices,
        num_nodes=options.nodes,
        strategy="ddp" if run.processes > 1 else "auto",
        sync_batchnorm=run.processes > 1 and run.device == "cuda" and not frozen_norms,
        use_distributed_sampler=False,  # StepSampler shares out the samples
        precision=_LIGHTNING_PRECISIONS[run.precision],  # type: ignore[arg-type]
        max_steps=run.steps,
        val_check_interval=run.validate_every,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.gradient_clip or None,
        callbacks=callbacks,
        enable_checkpointing=False,
        logger=[
            CSVLogger(folder.log, name="", version=version),
            TensorBoardLogger(folder.log, name="", version=version),
        ],
        log_every_n_steps=min(max(run.steps // 100, 1), 20),
        enable_model_summary=False,
    )


def _open_folder(
    folder: RunFolder, run: Run, data: _Data, described: dict[str, str]
) -> Path | None:
    """Open the run's folder, on one process for all; return the checkpoint to resume from."""
    if not is_first_process():
        # Lightning starts these processes when the first one has opened the folder.
        return folder.checkpoint if run.options.resume and folder.checkpoint.is_file() else None
    training, validation = map(picture_digests, (data.training, data.validation))
    if shared := _shared_pictures(data, training, validation):
        _say(shared)
    settings = run.settings() | {
        "preset_definition": preset_to_json(data.preset),
        "train_sha256": dataset_digest(run.options.train, training),
        "val_sha256": dataset_digest(run.options.val, validation),
    }
    return folder.begin(settings, {**described, **run.places()}, resume=run.options.resume)


def _shared_pictures(data: _Data, training: Sequence[str], validation: Sequence[str]) -> str | None:
    """Warn of validation images that are trained on, by the digests of all."""
    trained = dict(zip(training, data.training.images, strict=True))
    shared = [
        (image.file_name, trained[digest].file_name)
        for digest, image in zip(validation, data.validation.images, strict=True)
        if digest in trained
    ]
    if not shared:
        return None
    named = [val if val == train else f"{val} ({train} in training)" for val, train in shared]
    return (
        f"warning: {len(shared)} of {len(validation)} validation images are also trained on: "
        f"{', '.join(named[:3])}{', ...' * (len(named) > 3)}; validation says nothing about new "
        "images with them. `yolact-ros dataset split --images DIR` makes parts that share none"
    )


def _step_of(checkpoint: Path | None) -> int:
    if checkpoint is None:
        return 0
    try:
        return int(read_pickled(checkpoint)["global_step"])
    except (CheckpointError, KeyError, TypeError):
        raise RunError(
            f"resume: {checkpoint} is cut off, damaged or another program's: no run can go on from "
            "it; a new run may begin with the weights beside it: --weights best.safetensors"
        ) from None


def _fit(
    trainer: lightning.Trainer,
    module: TrainingModule,
    loaders: TrainingData,
    checkpoint: Path | None,
    best: BestWeights,
    run: Run,
) -> None:
    trainer.fit(module, loaders, ckpt_path=checkpoint, weights_only=True)
    if trainer.interrupted:
        _say(f"interrupted; `--resume` goes on, from the checkpoint in {run.options.out}")
        raise KeyboardInterrupt
    if trainer.global_step < run.steps:
        raise TrainingError(
            f"training: expected {run.steps} steps, got {trainer.global_step} before it ended; "
            "`--resume` goes on"
        )
    if best.measured_step < run.steps:
        trainer.validate(module, loaders, verbose=False)


def _say(text: str) -> None:
    if is_first_process():
        print(text, flush=True)


def _introduction(
    run: Run, module: TrainingModule, start: Start | None, images: int, first_step: int
) -> str:
    preset, passes = module.network.preset, run.steps * run.batch / images
    lines = [
        f"{preset.name} for {len(preset.class_names)} classes: {', '.join(preset.class_names)}",
        f"{images} images; {run.steps} steps of {run.batch}, that is {passes:.1f} passes; "
        f"{run.device}, {run.precision}" + ("; batch norms frozen" if module.frozen_norms else ""),
        str(start) if start is not None else "all weights begin at random",
    ]
    if run.options.resume:
        lines.append(f"resumed from step {first_step}")
    return "\n".join(lines)
