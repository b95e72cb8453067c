# SPDX-License-Identifier: Apache-2.0
"""Which samples make up which step, on which process."""

from __future__ import annotations

from collections.abc import Iterator

import lightning
from torch.utils.data import DataLoader, Sampler

from yolact_ros.datasets.coco import CocoDataset, CocoImage
from yolact_ros.training.data.training_set import Sample, TrainingSet, collate, prepare_worker


class StepSampler(Sampler[list[int]]):
    """The sample indices of each step, a pure function of the step.

    Step s takes the samples s * B * W to (s + 1) * B * W - 1, whatever the number W of processes:
    two processes with a batch of B see in each step what one sees with a batch of 2 B.

    Args:
        steps: In all.
        batch_size: Samples B a step and process.
        rank: Of this process, from 0 on.
        world_size: Number W of processes.
        first_step: Where to begin, in a run that is resumed. The length stays that of the whole
            run, as Lightning counts the steps before too.
    """

    def __init__(
        self, *, steps: int, batch_size: int, rank: int, world_size: int, first_step: int
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.first_step = first_step

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.steps):
            begin = (step * self.world_size + self.rank) * self.batch_size
            yield list(range(begin, begin + self.batch_size))


class TrainingData(lightning.LightningDataModule):
    """Loaders for the trainer.

    Args:
        training: As long as all steps need, over all processes.
        validation: Measured on as it is.
        steps: In all.
        batch_size: Samples a step and process.
        workers: Processes that make samples, beside each training process; 0: it makes its own.
    """

    def __init__(
        self,
        *,
        training: TrainingSet,
        validation: CocoDataset,
        steps: int,
        batch_size: int,
        workers: int,
    ) -> None:
        super().__init__()
        self.training = training
        self.validation = validation
        self.steps = steps
        self.batch_size = batch_size
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Sample]:
        """The samples from the trainer's step on."""
        assert self.trainer is not None
        return DataLoader(
            self.training,
            batch_sampler=StepSampler(
                steps=self.steps,
                batch_size=self.batch_size,
                rank=self.trainer.global_rank,
                world_size=self.trainer.world_size,
                first_step=self.trainer.global_step,
            ),
            num_workers=self.workers,
            collate_fn=collate,
            worker_init_fn=prepare_worker,
            prefetch_factor=4 if self.workers else None,
            # Forked processes would inherit the locks of torch's and OpenCV's threads.
            multiprocessing_context="spawn" if self.workers else None,
        )

    def val_dataloader(self) -> DataLoader[CocoImage]:
        """This process's share of the images to measure on."""
        assert self.trainer is not None
        share = self.validation.images[self.trainer.global_rank :: self.trainer.world_size]
        return DataLoader(share, batch_size=None)  # type: ignore[arg-type]
