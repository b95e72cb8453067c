# SPDX-License-Identifier: Apache-2.0
"""Network, losses and optimiser as a Lightning module."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning
import numpy as np
import torch
import torch.distributed
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from yolact_ros.errors import InputError
from yolact_ros.network import Yolact
from yolact_ros.training.data.target import Target
from yolact_ros.training.losses.multibox import MultiBoxLoss

Batch = tuple[np.ndarray[Any, Any], list[Target]]


class TrainingError(InputError):
    """Training cannot go on."""


class DivergedError(TrainingError):
    """Predictions, losses or weights are not finite."""


class TrainingModule(lightning.LightningModule):
    """Training steps on random samples.

    A step depends on its number, the seed and the process's rank alone, never on what was computed
    before it, so that a resumed run continues exactly like one that was never interrupted.

    Args:
        network: Trained in place.
        loss: Computes the terms, whose sum is minimised.
        optimize: Returns the optimiser of a network and its learning-rate schedule.
        seed: Of the random choices within a step.
        frozen_norms: Whether batch norms keep their statistics and parameters, as published for
            fewer than six images per GPU.
        frozen_layers: Layers of the network that stay as they are.
    """

    def __init__(
        self,
        *,
        network: Yolact,
        loss: MultiBoxLoss,
        optimize: Callable[[Yolact], tuple[Optimizer, LRScheduler]],
        seed: int,
        frozen_norms: bool,
        frozen_layers: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.optimize = optimize
        self.seed = seed
        self.frozen_norms = frozen_norms
        self._frozen = [*frozen_layers, *(self._norms() if frozen_norms else ())]
        for layer in self._frozen:
            layer.requires_grad_(False)
            layer.eval()

    def train(self, mode: bool = True) -> TrainingModule:
        """Change the mode, except that what is frozen stays in evaluation mode."""
        super().train(mode)
        for layer in self._frozen:
            layer.eval()
        return self

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed the random choices of the step by its number and the process's rank."""
        key = np.random.SeedSequence([self.seed, self.global_rank, self.global_step])
        torch.manual_seed(int(key.generate_state(1, np.uint64)[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the sum of the loss terms of a batch, see `collate`."""
        images, targets = batch
        predictions = self.network(self._normalize(images))
        # Whatever precision the network runs in, losses are computed in fp32.
        with torch.autocast(self.device.type, enabled=False):
            predictions = predictions._replace(
                **{name: value.float() for name, value in predictions._asdict().items()}
            )
            require_finite("predictions", predictions._asdict(), self.global_step)
            terms = self.loss(predictions, targets, mask_iou_net=self.network.maskiou_net)
            total = torch.stack(list(terms.values())).sum()
        require_finite("loss", terms, self.global_step)
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by a helper
        if (self.global_step + 1) % every == 0:
            # Not at all steps, as the mean over the processes makes each wait for the others.
            logged = {f"loss_{name}": value.detach() for name, value in terms.items()}
            logged["learning_rate"] = self.trainer.optimizers[0].param_groups[0]["lr"]
            how: Any = {"batch_size": len(targets), "sync_dist": self.trainer.world_size > 1}
            self.log_dict(logged, **how)
            self.log("loss", total.detach(), prog_bar=True, **how)
        return total

    def validation_step(self, image: Any, batch_idx: int) -> None:
        """Do nothing: Lightning asks for it, and `BestWeights` segments the image."""

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimiser and its learning-rate schedule."""
        optimizer, scheduler = self.optimize(self.network)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set rates and weight decay as the options say for the step, not as they were before.

        Raises:
            TrainingError: The checkpoint is of another network.
        """
        own, saved = (
            {name: value.shape for name, value in values.items()}
            for values in (self.state_dict(), checkpoint["state_dict"])
        )
        if own != saved:
            raise TrainingError(
                "resume: expected a checkpoint of this run's network, got another's: put last.ckpt "
                "or previous.ckpt of this run in its place"
            )
        optimizer, scheduler = self.optimize(self.network)
        scheduler.last_epoch = checkpoint["global_step"] - 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the optimiser has not stepped yet
            scheduler.step()
        [state] = checkpoint["optimizer_states"]
        state["param_groups"] = optimizer.state_dict()["param_groups"]
        checkpoint["lr_schedulers"] = [scheduler.state_dict()]

    def _normalize(self, images: np.ndarray[Any, Any]) -> Tensor:
        """(B, S, S, 3) uint8 RGB to the network's input."""
        normalization = self.network.preset.normalization
        mean = torch.tensor(normalization.mean, device=self.device)
        std = torch.tensor(normalization.std, device=self.device)
        pixels = torch.from_numpy(images).to(self.device)
        # channels last in memory, as the network is
        return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)

    def _norms(self) -> list[nn.Module]:
        return [m for m in self.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def require_finite(what: str, values: Mapping[str, Tensor], step: int) -> None:
    """Stop all processes if a value is not finite on one of them.

    Raises:
        DivergedError: It names the values; single numbers are shown.
    """
    flags = torch.stack([~torch.isfinite(value).all() for value in values.values()]).int()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(flags)
    if not flags.any():
        return
    wrong = [
        f"{name} ({value.item():g})" if value.ndim == 0 else name
        for (name, value), flag in zip(values.items(), flags.tolist(), strict=True)
        if flag
    ]
    more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
    raise DivergedError(
        f"{what}: expected finite numbers at step {step}, got others in "
        f"{', '.join(wrong[:4])}{more}"
    )
