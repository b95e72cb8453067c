# SPDX-License-Identifier: Apache-2.0
"""Validates while a run goes on, and keeps the best weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, TQDMProgressBar

from yolact_ros.checkpoints import save_checkpoint
from yolact_ros.network import Yolact

from .module import require_finite
from .run_folder import say, weights_text
from .validation import Validator

FIGURES = ("mask_ap", "mask_ap50", "box_ap", "box_ap50")


class BestWeights(Callback):
    """Validates, and keeps the weights with the highest mask AP.

    Must come before a callback that averages weights: that one puts the averaged weights in place
    before the first image and takes them away after this one has written them.

    Args:
        validator: Segments and measures the validation images.
        path: The safetensors file to write.
        metadata: Text entries of the file; step and figures are added.

    Attributes:
        step: Step of the best weights; 0 before there are any.
        figures: Their `FIGURES`, 0 to 1.
        measured_step: Step of the last validation.
    """

    def __init__(self, validator: Validator, path: Path, metadata: Mapping[str, str]) -> None:
        self.validator = validator
        self.path = path
        self.metadata = metadata
        self.step = 0
        self.figures: dict[str, float] = {}
        self.measured_step = 0

    def on_validation_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Refuse weights that are no numbers."""
        require_finite("weights", module.state_dict(), trainer.global_step)

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, *numbers: int
    ) -> None:
        """Segment one image, with the averaged weights if there are."""
        image, pixels = batch
        self.validator.segment(module.network, image, pixels)

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Log the figures, and write the file if they are the best so far."""
        figures = self.validator.measure()  # the same on every process
        self.measured_step = trainer.global_step
        for name, value in figures.items():
            module.log(name, value, prog_bar=name == "mask_ap")
        if self.figures and figures["mask_ap"] <= self.figures["mask_ap"]:
            return
        self.step, self.figures = trainer.global_step, figures
        if trainer.is_global_zero:
            text = {name: f"{value:.4f}" for name, value in figures.items()}
            write_weights(
                module.network, self.path, {**self.metadata, "step": str(self.step)} | text
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the best result so far, for a resumed run."""
        return {name: getattr(self, name) for name in ("step", "figures", "measured_step")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from an earlier `state_dict`, or look anew where the weights are gone."""
        if state_dict["step"] and not weights_text(self.path):
            say(f"{self.path} is missing or damaged; the best of what is left is kept there")
            return
        for name, value in state_dict.items():
            setattr(self, name, value)


class EarlyEnd(EarlyStopping):
    """Ends a run after some validations without a better mask AP.

    Args:
        validations: How many; a resumed run may have another number.
    """

    def __init__(self, validations: int) -> None:
        super().__init__(
            "mask_ap", mode="max", patience=validations, check_on_train_epoch_end=False
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        super().load_state_dict({**state_dict, "patience": self.patience})


class ProgressBar(TQDMProgressBar):
    """Lightning's progress bar without the name of the log folder."""

    def on_exception(self, trainer: lightning.Trainer, module: Any, exception: Any) -> None:
        """End the line, for what is then said."""
        if trainer.is_global_zero:
            print(flush=True)

    def get_metrics(self, trainer: lightning.Trainer, module: Any) -> dict[str, Any]:
        """Return the values to show behind the bar."""
        metrics = super().get_metrics(trainer, module)
        metrics.pop("v_num", None)
        return metrics


def write_weights(network: Yolact, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the weights of a network under training, for `Segmenter` and the node."""
    stored = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format)
    save_checkpoint(stored, path, metadata)
