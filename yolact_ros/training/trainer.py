# SPDX-License-Identifier: Apache-2.0
"""Trains a network on a data set in COCO's format."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import nn

from yolact_ros.datasets.coco import CocoDataset
from yolact_ros.datasets.kept_records import Source, read_recorded
from yolact_ros.datasets.records import with_objects
from yolact_ros.errors import InputError
from yolact_ros.network import Yolact, build_network
from yolact_ros.presets import (
    Preset,
    get_preset,
    with_backbone,
    with_classes,
    with_input_size,
)
from yolact_ros.training.data.loading import TrainingData
from yolact_ros.training.data.training_set import TrainingSet
from yolact_ros.training.losses.multibox import MultiBoxLoss

from .callbacks import FIGURES, BestWeights, EarlyEnd, ProgressBar, write_weights
from .changes import RunError
from .last_checkpoint import CheckpointWriter, LastCheckpoint, Stop
from .loggers import make_loggers
from .meeting import MeetingStrategy
from .module import DivergedError, TrainingError, TrainingModule
from .opening import Data, is_finished, open_folder
from .options import Run, TrainingOptions, resolve
from .plots import draw_curve
from .preview import draw_samples
from .processes import is_first_process
from .recipe import averaging
from .run_folder import RunFolder, describe_start, say, weights_text
from .starting_weights import Start, start_backbone, start_from_weights
from .validation import Validator

_LIGHTNING_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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


def train(options: TrainingOptions, command: str, going_on: str, stop: Stop) -> Trained:
    """Train, validate on the way, and leave the weights in the run's folder.

    Args:
        options: Of the run.
        command: The command line, for the run's folder and the metadata of the weights.
        going_on: The command line that resumes the run.
        stop: Tells of signals.

    Raises:
        DatasetError: A data set has problems.
        RunError: The folder cannot be used.
        TrainingError: A loss is not finite, the run ended early, or the disk is full.
        InputError: Other options do not fit.
        KeyboardInterrupt: A signal came; the text says after which step, if after any.
    """
    folder, begun = RunFolder(options.out), None
    if options.resume or (not is_first_process() and folder.description.is_file()):
        begun = folder.settings()
        if options.freeze_norms == "auto":
            options = replace(options, freeze_norms=begun.get("freeze_norms", "auto"))
    elif is_first_process():
        folder.require_new()
    data = _read_data(options)
    run = resolve(options, len(data.training), begun.get("precision") if begun else None)
    with _full_disk_told(folder, command, going_on):
        return _train(folder, run, data, command, going_on, stop)


def _train(
    folder: RunFolder, run: Run, data: Data, command: str, going_on: str, stop: Stop
) -> Trained:
    """Open the folder and train."""
    options = run.options
    goes_on = options.resume is not None and folder.has_checkpoint()
    module, start = _make_module(data.preset, run, goes_on=goes_on)
    loaders = _make_loaders(data, run)
    described = describe_start(command, options.seed)
    first_step = 0
    if is_first_process():  # Lightning starts the others when the folder is open
        opened = open_folder(folder, run, data, described, going_on, module.frozen_norms)
        if opened is None:
            return _finished(folder)
        first_step = opened
    elif options.resume and is_finished(folder, run):  # as the first one finds
        return _finished(folder)
    say(_introduction(run, module, start, loaders, first_step))
    if is_first_process() and not options.resume:
        draw_samples(loaders.training, data.preset.class_names, folder.samples)
    best = BestWeights(Validator(data.validation), folder.best, described)
    last = _make_last_checkpoint(run, folder, len(data.validation), stop)
    trainer = _make_trainer(run, folder, [best, last], first_step, module.frozen_norms)
    try:
        _fit(trainer, module, loaders, folder.checkpoint if goes_on else None, best)
    except DivergedError as error:
        raise DivergedError(f"{error}; {_remedy(trainer, loaders, folder, going_on)}") from None
    if trainer.should_stop:
        say(f"ended early: no better mask AP in {options.early_stopping} validations")
    if is_first_process():
        done = {"step": str(trainer.global_step), **run.end()}
        write_weights(module.network, folder.last, described | done)
        draw_curve(folder.log, folder.curve)
    trained = Trained(folder, trainer.global_step, best.step, best.figures)
    say(str(trained))
    return trained


@contextmanager
def _full_disk_told(folder: RunFolder, command: str, going_on: str) -> Iterator[None]:
    """Turn the system's error where a file of the run has no room into how the run goes on."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        # Lightning may meet a second one, of its log, on the way out.
        causes = (error.filename, getattr(error.__context__, "filename", None), folder.path)
        path = next(cause for cause in causes if cause)
        free = shutil.disk_usage(folder.path if folder.path.is_dir() else folder.path.parent).free
        resumed = folder.description.is_file()
        raise TrainingError(
            f"{path}: expected room on the disk, got none ({error.strerror}; "
            f"{free / 1e6:.0f} MB are free); make room, then "
            f"{'go on' if resumed else 'begin again'}: {going_on if resumed else command}"
        ) from None


def _finished(folder: RunFolder) -> Trained:
    """The result of a run that was resumed after its end."""
    text = weights_text(folder.best)
    if not text:  # nor is there a checkpoint
        raise RunError(
            f"resume: the run in {folder.path} is finished, and {folder.best} is missing or "
            f"damaged; its last weights are {folder.last}"
        )
    say(f"the run in {folder.path} is finished")
    figures = {name: float(text[name]) for name in FIGURES}
    steps = int(weights_text(folder.last)["step"])
    trained = Trained(folder, steps, int(text["step"]), figures)
    say(str(trained))
    return trained


def _read_data(options: TrainingOptions) -> Data:
    classes, mend = tuple(options.classes), options.mend
    training = read_recorded(Source(options.train, options.train_images, classes, mend), say)
    validation = read_recorded(Source(options.val, options.val_images, classes, mend), say)
    for name, dataset in (("train", training), ("val", validation)):
        if lack := dataset.lack_of_objects:
            raise InputError(f"{name}: {dataset.annotation_file}: {lack}")
        for remark in dataset.remarks:
            say(remark)
    if unknown := [name for name in validation.class_names if name not in training.class_names]:
        raise InputError(
            f"{', '.join(map(str, options.val))}: expected classes among those of "
            f"{', '.join(map(str, options.train))} ({', '.join(training.class_names)}), got "
            f"besides {', '.join(unknown)}"
        )
    if not options.recipe.empty_images:
        training = _with_objects(training)
    preset = with_classes(get_preset(options.preset), training.class_names)
    preset = replace(preset, category_ids=training.category_ids)
    if options.backbone is not None:
        preset = with_backbone(preset, options.backbone)
    if options.input_size is not None:
        preset = with_input_size(preset, options.input_size)
    return Data(training, validation, preset)


def _with_objects(dataset: CocoDataset) -> CocoDataset:
    """Leave out images without objects, and say so."""
    kept = with_objects(dataset)
    if empty := len(dataset) - len(kept):
        say(
            f"{empty} of {len(dataset)} images have no objects and are left out, as published; "
            "`--recipe short` learns from them, and so does `--empty-images --least-negatives 32`"
        )
    return kept


def _make_module(preset: Preset, run: Run, *, goes_on: bool) -> tuple[TrainingModule, Start | None]:
    """Make the network with its starting weights; without any, they are random.

    A run that goes on has none: all of its weights are in the checkpoint.
    """
    options, recipe = run.options, run.options.recipe
    torch.manual_seed(options.seed)
    network = build_network(preset)
    start = None if goes_on else _start(network, options)
    frozen_norms = options.freeze_norms == "yes"
    if options.freeze_norms == "auto":
        frozen_norms = start is not None and options.batch_size < _FEW_FOR_NORMS
    module = TrainingModule(
        network=network.to(memory_format=torch.channels_last),
        loss=MultiBoxLoss(
            class_loss=recipe.class_loss,
            binary_masks=recipe.binary_masks,
            least_negatives=recipe.least_negatives,
        ),
        optimize=partial(recipe.optimize, steps=run.steps, batch=run.batch),
        seed=options.seed,
        frozen_norms=frozen_norms,
        frozen_layers=_frozen_layers(
            network, options.freeze_stages, trained=goes_on or start is not None
        ),
    )
    return module, start


def _start(network: Yolact, options: TrainingOptions) -> Start | None:
    if options.weights is None:
        return start_backbone(network, options.backbone_weights)
    return start_from_weights(network, options.weights, options.weights_class_names or ())


def _frozen_layers(network: Yolact, count: int, *, trained: bool) -> list[nn.Module]:
    """The layers of the backbone's first stages."""
    stages = network.backbone.stages
    if count > len(stages):
        raise InputError(f"freeze_stages: expected at most {len(stages)}, got {count}")
    if count and not trained:
        raise InputError("freeze_stages: expected weights to start from, which stay, got none")
    return [layer for stage in stages[:count] for layer in stage]


def _make_loaders(data: Data, run: Run) -> TrainingData:
    options = run.options
    return TrainingData(
        training=TrainingSet(
            data.training,
            input_size=data.preset.input_size,
            augmentation=options.recipe.augmentation,
            seed=options.seed,
            length=run.steps * run.batch,
            empty_images=options.recipe.empty_images,
            repeat_threshold=options.repeat_threshold,
        ),
        validation=data.validation,
        steps=run.steps,
        batch_size=options.batch_size,
        workers=options.workers,
    )


def _make_last_checkpoint(run: Run, folder: RunFolder, images: int, stop: Stop) -> LastCheckpoint:
    return LastCheckpoint(
        path=folder.checkpoint,
        previous=folder.previous,
        every=run.options.checkpoint_every,
        minutes=run.options.checkpoint_minutes,
        validated_every=run.validate_every,
        validation_images=images,
        stop=stop,
    )


def _make_trainer(
    run: Run, folder: RunFolder, kept: Sequence[Callback], first_step: int, frozen_norms: bool
) -> lightning.Trainer:
    options, recipe = run.options, run.options.recipe
    averaged = [WeightAveraging(multi_avg_fn=averaging(recipe.average))] if recipe.average else []
    best, last = kept
    early = [EarlyEnd(options.early_stopping)] if options.early_stopping else []
    # The best weights are written before averaging takes its weights back, and the step at which
    # a run ends early is not saved.
    callbacks: list[Callback] = [best, *averaged, *early, last, ProgressBar(refresh_rate=10)]
    trainer = lightning.Trainer(
        accelerator="gpu" if run.device == "cuda" else "cpu",
        devices=options.devices,
        num_nodes=options.nodes,
        strategy=MeetingStrategy() if run.processes > 1 else "auto",
        sync_batchnorm=run.processes > 1 and run.device == "cuda" and not frozen_norms,
        use_distributed_sampler=False,  # StepSampler shares out the samples
        precision=_LIGHTNING_PRECISIONS[run.precision],  # type: ignore[arg-type]
        max_steps=run.steps,
        val_check_interval=run.validate_every,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.gradient_clip or None,
        callbacks=callbacks,
        plugins=[CheckpointWriter()],
        enable_checkpointing=False,
        logger=make_loggers(options.loggers, folder, first_step),
        log_every_n_steps=min(max(run.steps // 100, 1), 20),
        enable_model_summary=False,
    )
    # Lightning's answer to SIGTERM, a broadcast within the signal's handler, is in `stop`'s way.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def _fit(
    trainer: lightning.Trainer,
    module: TrainingModule,
    loaders: TrainingData,
    checkpoint: Path | None,
    best: BestWeights,
) -> None:
    try:
        trainer.fit(module, loaders, ckpt_path=checkpoint, weights_only=True)
        if trainer.global_step < trainer.max_steps and not trainer.should_stop:
            raise TrainingError(
                f"training: expected {trainer.max_steps} steps, got {trainer.global_step} before "
                "it ended; `--resume` goes on"
            )
        if best.measured_step < trainer.global_step:
            trainer.validate(module, loaders, verbose=False)
    except SystemExit as end:  # what Lightning makes of KeyboardInterrupt
        raise (end.__context__ or end) from None


def _remedy(
    trainer: lightning.Trainer, loaders: TrainingData, folder: RunFolder, going_on: str
) -> str:
    """What a run that diverged was doing, and how it may go on."""
    loss = trainer.callback_metrics.get("loss")
    before = f"the loss before was {loss:.3g}; " if loss is not None else ""
    pictures = f"the images of the step: {', '.join(loaders.files_of(trainer.global_step))}; "
    remedy = "a lower --learning-rate or --gradient-clip 10 may help"
    if not folder.checkpoint.is_file():
        return f"{before}{pictures}{remedy} in a new run"
    text = f"{before}{pictures}{remedy}, from the last checkpoint: {going_on} --learning-rate X"
    if folder.previous.is_file():
        text += f"; or from the one before it: {going_on} previous --learning-rate X"
    return text


def _introduction(
    run: Run, module: TrainingModule, start: Start | None, loaders: TrainingData, first_step: int
) -> str:
    preset, training = module.network.preset, loaders.training
    passes = run.steps * run.batch / training.pass_length
    frozen = "; batch norms frozen" if module.frozen_norms else ""
    if run.options.freeze_stages:
        frozen += f"; the backbone's first {run.options.freeze_stages} stages frozen"
    lines = [
        f"{preset.name} for {len(preset.class_names)} classes: {', '.join(preset.class_names)}",
        f"{len(training.images)} images; {run.steps} steps of {run.batch}, that is {passes:.1f} "
        f"passes; {run.device}, {run.precision}{frozen}",
    ]
    if not first_step:
        lines.append(str(start) if start is not None else "all weights begin at random")
    if run.options.input_size is not None:
        lines.append(f"input of {preset.input_size} x {preset.input_size} pixels")
    if training.factors is not None:
        repeated = int((training.factors > 1).sum())
        lines.append(
            f"{repeated} images with rare classes are shown more often, at most "
            f"{training.factors.max():.1f} times in a pass of {training.pass_length}"
        )
    if run.options.resume:
        none = "" if first_step else ": there is no checkpoint"
        lines.append(f"resumed from step {first_step}{none}")
    return "\n".join(lines)
