# SPDX-License-Identifier: Apache-2.0
"""What the processes need that read pictures and make samples.

Each begins by importing this file, so it imports little: neither Lightning, which takes longer than
torch itself, nor torchvision, which those that read validation pictures do without.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from yolact_ros.datasets.coco import CocoDataset, CocoImage
from yolact_ros.errors import InputError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a run."""
_SECONDS_LEFT = 30  # of a worker after SIGTERM

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) RGB."""


@dataclass(frozen=True)
class Pictures(Dataset[tuple[CocoImage, Pixels]]):
    """The images of one process, with their pixels: one at least, as Lightning demands.

    A process beyond the number of images has one that another has too, which `Validator` drops.
    """

    dataset: CocoDataset
    rank: int
    world_size: int

    def __len__(self) -> int:
        return max(len(range(self.rank, len(self.dataset), self.world_size)), 1)

    def __getitem__(self, index: int) -> tuple[CocoImage, Pixels]:
        if index >= len(self):
            raise IndexError(index)
        number = self.rank + index * self.world_size
        image = self.dataset.images[number % len(self.dataset)]
        return image, self.dataset.read_image(image)


@dataclass(frozen=True)
class OrError(Dataset[Any]):
    """Gives the errors that a user can mend as items, for `Loader`."""

    dataset: Any

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except InputError as error:
            return error


def joined(join: Callable[[Any], Any], items: Sequence[Any]) -> Any:
    """Join the items, or give the first error among them."""
    return next((item for item in items if isinstance(item, InputError)), None) or join(items)


class Loader(DataLoader[Any]):
    """A loader of what `OrError` gives, joined by `joined`.

    It raises errors where it is read: torch would make the worker's traceback their text. It starts
    its workers with signals held back, which `prepare_worker` then decides on: Ctrl-C reaches all
    processes of a terminal, workers that are just starting would each print a traceback, and others
    would end before the step that waits for them.
    """

    def __iter__(self) -> Any:
        resource_tracker.ensure_running()  # which would let them through
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            batches = super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return _without_errors(batches)


def _without_errors(batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        if isinstance(batch, InputError):
            raise batch
        yield batch


def prepare_worker(worker: int) -> None:
    """Limit a DataLoader's worker to one thread; pass it as `worker_init_fn`.

    OpenCV and torch would start as many threads as there are cores in each worker. Signals that
    reach all processes of a run leave a worker alone: its run still waits for samples, and ends it.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # It may be the run's own SIGTERM, to a worker that did not end when it was told to.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_SECONDS_LEFT))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
