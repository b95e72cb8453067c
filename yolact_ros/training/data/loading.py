# SPDX-License-Identifier: Apache-2.0
"""Distributes the samples over steps and processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader, Sampler

from yolact_ros.datasets.coco import CocoDataset, CocoImage
from yolact_ros.training.data.target import Sample
from yolact_ros.training.data.training_set import TrainingSet, collate
from yolact_ros.training.data.workers import (
    Loader,
    OrError,
    Pictures,
    Pixels,
    joined,
    prepare_worker,
)

_VALIDATION_WORKERS = 2
"""At most: the network takes longer than reading a picture."""


@dataclass(frozen=True, kw_only=True)
class StepSampler(Sampler[list[int]]):
    """Yields the sample indices of each step, a pure function of the step.

    Step s takes the samples s * B * W to (s + 1) * B * W - 1, whatever the number W of processes:
    two processes with a batch of B see in each step what one sees with a batch of 2 B.

    Attributes:
        steps: Total number of steps.
        batch_size: Samples B per step and process.
        rank: Of this process, 0 to W - 1.
        world_size: Number W of processes.
        first_step: First step of a resumed run. The length stays that of the whole run, since
            Lightning counts the earlier steps too.
    """

    steps: int
    batch_size: int
    rank: int
    world_size: int
    first_step: int

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.steps):
            begin = (step * self.world_size + self.rank) * self.batch_size
            yield list(range(begin, begin + self.batch_size))


@dataclass(eq=False, kw_only=True)
class TrainingData(lightning.LightningDataModule):
    """The data loaders of Lightning's trainer.

    Attributes:
        training: Samples for all steps of all processes.
        validation: Its images are measured on, unchanged.
        steps: Total number of steps.
        batch_size: Samples per step and process.
        workers: Processes that make samples, per training process; 0: it makes its own.
    """

    training: TrainingSet
    validation: CocoDataset
    steps: int
    batch_size: int
    workers: int

    def __post_init__(self) -> None:
        super().__init__()

    def files_of(self, step: int) -> list[str]:
        """Name the images of a step, of all processes, and of one that is no more the last."""
        assert self.trainer is not None
        images = self.batch_size * self.trainer.world_size
        begin = min(step, self.steps - 1) * images
        return [self.training.image_at(index).file_name for index in range(begin, begin + images)]

    def train_dataloader(self) -> DataLoader[Sample]:
        """Load the remaining samples, from the trainer's current step on."""
        assert self.trainer is not None
        return Loader(
            OrError(self.training),
            batch_sampler=StepSampler(
                steps=self.steps,
                batch_size=self.batch_size,
                rank=self.trainer.global_rank,
                world_size=self.trainer.world_size,
                first_step=self.trainer.global_step,
            ),
            num_workers=self.workers,
            collate_fn=partial(joined, collate),
            worker_init_fn=prepare_worker,
            prefetch_factor=4 if self.workers else None,
            # Forked processes would inherit the locks of torch's and OpenCV's threads.
            multiprocessing_context="spawn" if self.workers else None,
        )

    def val_dataloader(self) -> DataLoader[tuple[CocoImage, Pixels]]:
        """Load this process's share of the validation images."""
        assert self.trainer is not None
        workers = min(self.workers, _VALIDATION_WORKERS)
        return Loader(
            OrError(Pictures(self.validation, self.trainer.global_rank, self.trainer.world_size)),
            batch_size=1,
            num_workers=workers,
            collate_fn=partial(joined, itemgetter(0)),
            worker_init_fn=prepare_worker,
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=bool(workers),  # each takes seconds to start
        )

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Move the targets of training samples; the module moves and normalises their images."""
        if isinstance(batch[0], CocoImage):
            return batch
        images, targets = batch
        return images, [target.to(device) for target in targets]
