# SPDX-License-Identifier: Apache-2.0
"""Keeps the state that a run goes on from, and ends the run where a signal asks for it."""

from __future__ import annotations

import io
import os
import time
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any, Protocol

import lightning
import torch
import torch.distributed
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from yolact_ros.checkpoints.checkpoint import publish

from .module import require_finite


class Stop(Protocol):
    """Tells of a signal that asks the process to end.

    Attributes:
        number: The signal that came, or None.
        at_once: Whether one that comes raises KeyboardInterrupt; unless, it is noted here alone.
    """

    number: Signals | None
    at_once: bool


class CheckpointWriter(TorchCheckpointIO):
    """Writes a checkpoint to its path; `publish` has it on the disk.

    Lightning's own goes through a temporary file in another folder, which may have less room, and
    where a kill leaves it.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write it; nothing stays of what does not fit."""
        del storage_options
        content = io.BytesIO()
        torch.save(checkpoint, content)
        try:
            Path(path).write_bytes(content.getbuffer())
        except OSError as error:
            Path(path).unlink(missing_ok=True)
            size = f"{len(content.getbuffer()) / 1e6:.0f} MB"
            raise OSError(error.errno, f"{error.strerror} for {size}", str(path)) from None


@dataclass(eq=False, kw_only=True)
class LastCheckpoint(Callback):
    """Keeps one file to resume the run from, and the one before it; none is ever half written.

    A step that is followed by a validation is saved after it, so that a resumed run neither skips
    nor repeats the validation. (Lightning's own callback saves before.) The step at which the run
    ends is not saved, but the one before the last: what follows the end is done again if it was
    interrupted.

    A checkpoint that cannot be written ends the run; those before it stay.

    After a signal the step in progress is finished and saved, then KeyboardInterrupt is raised, on
    all processes alike; a validation in progress is broken off, and a resumed run repeats it.

    Attributes:
        path: The file.
        previous: The file before it.
        every: Steps between checkpoints; None: by time alone.
        minutes: Time between checkpoints.
        validated_every: Steps between validations.
        validation_images: Number of them, for all processes.
        stop: Tells of signals.
    """

    path: Path
    previous: Path
    every: int | None
    minutes: float
    validated_every: int
    validation_images: int
    stop: Stop

    def __post_init__(self) -> None:
        self._saved_at = time.monotonic()
        self._number = 0  # of the signal after which the run was saved

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Have signals noted from the first step on; end where the step before was saved for it."""
        self.stop.at_once = False
        if self._number:  # not earlier: Lightning logs a step's losses after its last hook
            self._end(trainer, self._number)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time or the run is to end, unless a validation follows."""
        if trainer.global_step % self.validated_every == 0:
            return
        self._number, due = self._agreed(trainer, due=self._is_due(trainer))
        if self._number or due:
            self._save(trainer)

    def on_validation_batch_start(
        self, trainer: lightning.Trainer, module: Any, batch: Any, batch_idx: int, *numbers: int
    ) -> None:
        """Break off where the run is to end, saved as it was before the validation."""
        if batch_idx >= max(self.validation_images // trainer.world_size, 1):
            return  # some processes have one image more
        number, _ = self._agreed(trainer, due=False)
        if not number:
            return
        if trainer.state.fn == "fit":
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, WeightAveraging):
                    callback.on_validation_epoch_end(trainer, module)  # averaged weights go away
            # As Lightning counts where a validation was broken off, which it then does again.
            progress = trainer.fit_loop.epoch_loop.val_loop.batch_progress
            progress.increment_started()
            progress.current.reset()
            self._save(trainer)
        self._end(trainer, number)

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Save after a validation that is part of the training."""
        if trainer.state.fn == "fit":
            self._save(trainer)

    def on_exception(
        self, trainer: lightning.Trainer, module: Any, exception: BaseException
    ) -> None:
        """End the other processes where this one, which writes the files, cannot go on.

        They wait for it, and would report that it went away.
        """
        launcher = trainer.strategy.launcher
        if isinstance(exception, OSError) and isinstance(launcher, _SubprocessScriptLauncher):
            launcher.kill(SIGKILL)

    def _is_due(self, trainer: lightning.Trainer) -> bool:
        step = trainer.global_step
        return (
            step == trainer.max_steps - 1
            or (self.every is not None and step % self.every == 0)
            or time.monotonic() - self._saved_at >= 60 * self.minutes
        )

    def _agreed(self, trainer: lightning.Trainer, *, due: bool) -> tuple[int, bool]:
        """The signal that any process got, or 0, and whether the first one finds a save due."""
        wishes = [self.stop.number or 0, int(due and trainer.is_global_zero)]
        if trainer.world_size > 1:
            shared = torch.tensor(wishes, device=trainer.strategy.root_device)
            torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX)
            wishes = shared.tolist()
        return wishes[0], bool(wishes[1])

    def _save(self, trainer: lightning.Trainer) -> None:
        if trainer.global_step >= trainer.max_steps or trainer.should_stop:
            return
        require_finite("weights", trainer.lightning_module.state_dict(), trainer.global_step)
        incomplete = self.path.with_name(f"{self.path.name}.incomplete")
        trainer.save_checkpoint(incomplete)  # by `CheckpointWriter`
        if trainer.is_global_zero:
            if self.path.is_file():
                _keep(self.path, self.previous)
            publish(incomplete, self.path)
        self._saved_at = time.monotonic()

    def _end(self, trainer: lightning.Trainer, number: int) -> None:
        self.stop.number = Signals(number)  # another process may have got it
        raise KeyboardInterrupt(f"after step {trainer.global_step} of {trainer.max_steps}")


def _keep(path: Path, previous: Path) -> None:
    """Give a file a second name, with the first there at any moment where links can be made."""
    link = previous.with_name(f"{previous.name}.incomplete")
    try:
        link.unlink(missing_ok=True)
        os.link(path, link)
        os.replace(link, previous)
    except OSError:
        os.replace(path, previous)
