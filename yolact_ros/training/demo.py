# SPDX-License-Identifier: Apache-2.0
"""Trains `yolact_demo` from nothing on synthetic scenes."""

from __future__ import annotations

import copy
import json
import logging
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from yolact_ros.evaluation.scenes import (
    FIRST_UNSEEN_SEED,
    SCENE_DURATION,
    SceneMetrics,
    evaluate_unseen,
)
from yolact_ros.inference import Segmenter
from yolact_ros.network import build_network, save_checkpoint
from yolact_ros.network.priors import level_sizes
from yolact_ros.presets import get_preset
from yolact_ros.training.augmentation import Augmentation, SceneDataset, collate
from yolact_ros.training.losses import MultiBoxLoss
from yolact_ros.training.module import Schedule, TrainingError, TrainingModule, trained_network
from yolact_ros.training.provenance import provenance
from yolact_ros.training.scene_store import SceneStore, render_store

PRESET = "yolact_demo"
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoTraining:
    """What `train_demo` does.

    Attributes:
        scenes: Scenes rendered for training, one frame each; seeds 0 to scenes - 1.
        steps: Batches.
        batch_size: Images in a batch.
        learning_rate: The highest.
        evaluation_scenes: Unseen scenes that the result is measured on.
        seed: Of weights, order and augmentation.
        threads: Threads of the network, and processes that render.
        precision: "auto", "fp32" or "bf16": bf16 is two to four times as fast on processors that
            compute in it (auto uses it there), and several times slower on others.
        resume: Go on from the last checkpoint in the folder, if there is one; the order of the
            remaining samples is then another one than without the interruption.
        keep_scenes: Do not delete the rendered scenes at the end.
    """

    scenes: int = 4000
    steps: int = 3000
    batch_size: int = 16
    learning_rate: float = 2e-3
    evaluation_scenes: int = 300
    seed: int = 0
    threads: int = 2
    precision: str = "auto"
    resume: bool = False
    keep_scenes: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.scenes <= FIRST_UNSEEN_SEED:
            raise ValueError(f"scenes: expected 1 to {FIRST_UNSEEN_SEED}, got {self.scenes}")
        for name in ("steps", "batch_size", "evaluation_scenes", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate: expected more than 0, got {self.learning_rate}")
        if self.precision not in ("auto", *PRECISIONS):
            raise ValueError(
                f"precision: expected auto, {' or '.join(PRECISIONS)}, got {self.precision!r}"
            )


def train_demo(out: Path, options: DemoTraining, command: str) -> SceneMetrics:
    """Renders scenes, trains, and measures the weights as they are stored.

    Args:
        out: Folder; receives `yolact_demo.safetensors` (fp16), `metrics.json`, `log/metrics.csv`
            and `checkpoints/`.
        options: See there.
        command: How this was called, for the weights' metadata.

    Raises:
        TrainingError: The loss is not finite.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    lightning.seed_everything(options.seed, verbose=False)
    clock = _Clock()
    store = _scenes(out / "scenes", options)
    clock.stop("rendering")
    module = fit(store, out, options)
    clock.stop("training")
    weights = out / f"{PRESET}.safetensors"
    network = copy.deepcopy(trained_network(module)).half()
    metadata = provenance(command, options.seed)
    save_checkpoint(network, weights, metadata)
    segmenter = Segmenter(
        preset=PRESET, weights=weights, device="cpu", score_threshold=0.05, max_instances=100
    )
    metrics = evaluate_unseen(segmenter, options.evaluation_scenes, progress=True)
    clock.stop("evaluation")
    report = {
        "options": asdict(options),
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
        **metadata,
        **asdict(metrics),
    }
    (out / "metrics.json").write_text(json.dumps(report, indent=1))
    metadata |= {
        "scenes": str(metrics.scenes),
        "mask_ap": f"{metrics.mask.ap:.4f}",
        "mask_ap50": f"{metrics.mask.ap50:.4f}",
        "box_ap": f"{metrics.box.ap:.4f}",
        "box_ap50": f"{metrics.box.ap50:.4f}",
    }
    save_checkpoint(network, weights, metadata)
    if not options.keep_scenes:
        shutil.rmtree(store.directory)
    return metrics


def fit(store: SceneStore, out: Path, options: DemoTraining) -> TrainingModule:
    """Trains on rendered scenes; the module then holds the averaged weights."""
    preset = get_preset(PRESET)
    network = build_network(preset).to(memory_format=torch.channels_last)
    module = TrainingModule(
        network,
        # Coverage rather than 0 or 1: it places the edges of the small prototypes between pixels.
        MultiBoxLoss(binary_masks=False),
        Schedule(steps=options.steps, learning_rate=options.learning_rate),
    )
    dataset = SceneDataset(
        store,
        input_size=preset.input_size,
        mask_size=2 * level_sizes((preset.input_size, preset.input_size), levels=1)[0][0],
        augmentation=Augmentation(),
        seed=options.seed,
        length=options.steps * options.batch_size,
    )
    loader = DataLoader(
        dataset,
        batch_size=options.batch_size,
        num_workers=1,
        persistent_workers=True,
        prefetch_factor=4,
        collate_fn=collate,
        multiprocessing_context="spawn",
    )
    checkpoints = out / "checkpoints"
    last = checkpoints / "last.ckpt"
    resumed = last if options.resume and last.is_file() else None
    trainer = lightning.Trainer(
        accelerator="cpu",
        precision=PRECISIONS[choose_precision(options.precision)],  # type: ignore[arg-type]
        max_steps=options.steps,
        gradient_clip_val=10.0,
        callbacks=[
            EMAWeightAveraging(decay=0.998, update_starting_at_step=options.steps // 2),
            ModelCheckpoint(checkpoints, every_n_train_steps=250, save_last=True),
            TQDMProgressBar(refresh_rate=10),
        ],
        logger=CSVLogger(out, name="", version="log" if resumed is None else "log_resumed"),
        log_every_n_steps=min(20, options.steps),
        enable_model_summary=False,
    )
    trainer.fit(module, loader, ckpt_path=resumed)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.global_step < options.steps:
        raise TrainingError(
            f"training: expected {options.steps} steps, got {trainer.global_step} before it ended"
        )
    return module


def choose_precision(precision: str) -> str:
    """ "auto" to "bf16" where the processor multiplies matrices in it, else to "fp32"."""
    if precision != "auto":
        return precision
    return "bf16" if _processor().get("amx_bf16") else "fp32"


def _processor() -> dict[str, Any]:
    # An older torch cannot tell: fp32 then.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    return capabilities() if capabilities else {}


def _scenes(directory: Path, options: DemoTraining) -> SceneStore:
    store = SceneStore(directory)
    complete = directory / "complete"
    if complete.is_file() and len(store) == options.scenes:
        _log.info("using the %d scenes in %s", options.scenes, directory)
        return store
    moments = np.random.default_rng(options.seed).uniform(0, SCENE_DURATION, options.scenes)
    store = render_store(
        directory, range(options.scenes), workers=options.threads, moments=moments.tolist()
    )
    complete.touch()
    return store


class _Clock:
    """Wall and processor time of consecutive stages, children included."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._begin = self._now()

    def stop(self, stage: str) -> None:
        now = self._now()
        self.seconds[stage] = round(now[0] - self._begin[0], 1)
        self.cpu_seconds[stage] = round(now[1] - self._begin[1], 1)
        self._begin = now

    @staticmethod
    def _now() -> tuple[float, float]:
        spent = os.times()
        return time.perf_counter(), sum(spent[:4])
