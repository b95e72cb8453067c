# SPDX-License-Identifier: Apache-2.0
"""Network, losses and optimiser as a Lightning module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.network import Yolact
from yolact_ros.training.losses import MultiBoxLoss
from yolact_ros.data.target import Target

Batch = tuple[np.ndarray[Any, Any], list[Target]]


class TrainingError(ValueError):
    """Training cannot go on."""


@dataclass(frozen=True)
class Schedule:
    """AdamW with one cycle of the learning rate (Smith and Topin, 2018).

    Attributes:
        steps: Batches in all.
        learning_rate: The highest.
        warm_up: Part of the steps in which it rises.
        weight_decay: Of convolution weights; biases and norms have none.
    """

    steps: int
    learning_rate: float = 2e-3
    warm_up: float = 0.08
    weight_decay: float = 0.02


class TrainingModule(lightning.LightningModule):
    """One training step, with a clear word when the loss is no number.

    Args:
        network: In training mode.
        loss: The loss.
        schedule: Of the optimiser.
    """

    def __init__(self, network: Yolact, loss: MultiBoxLoss, schedule: Schedule) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.schedule = schedule

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Images and targets to the summed loss."""
        images, targets = batch
        preprocess = Preprocessor(self.network.preset, self.device, torch.float32)
        predictions = self.network(preprocess(list(images), "rgb"))
        # Whatever precision the network runs in, losses are computed in fp32.
        with torch.autocast(self.device.type, enabled=False):
            predictions = predictions._replace(
                **{name: value.float() for name, value in predictions._asdict().items()}
            )
            self._require_finite("predictions", predictions._asdict())
            terms = self.loss(predictions, targets)
            total = torch.stack(list(terms.values())).sum()
        self._require_finite("loss", terms)
        logged = {f"loss_{name}": value.detach() for name, value in terms.items()}
        self.log_dict(logged, batch_size=len(targets))
        self.log("loss", total.detach(), batch_size=len(targets), prog_bar=True)
        return total

    def _require_finite(self, what: str, values: Mapping[str, Tensor]) -> None:
        if wrong := [name for name, value in values.items() if not torch.isfinite(value).all()]:
            raise TrainingError(
                f"{what}: expected finite numbers at step {self.global_step}, got others in "
                f"{', '.join(wrong)}; a lower learning rate may help"
            )

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Moves the targets; images are uploaded by the preprocessor."""
        images, targets = batch
        return images, [target.to(device) for target in targets]

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW and the one-cycle schedule."""
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": self.schedule.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=self.schedule.learning_rate,
        )
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.schedule.learning_rate,
            total_steps=self.schedule.steps,
            pct_start=self.schedule.warm_up,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def trained_network(module: TrainingModule) -> nn.Module:
    """The network in evaluation mode, on the CPU, in the usual memory format."""
    return module.network.cpu().to(memory_format=torch.contiguous_format).eval()
