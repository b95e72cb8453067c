# SPDX-License-Identifier: Apache-2.0
"""Network, losses and optimiser as a Lightning module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
import numpy as np
import torch
import torch.distributed
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from yolact_ros.datasets.coco import CocoDataset, CocoImage
from yolact_ros.errors import InputError
from yolact_ros.evaluation.coco import coco_metrics
from yolact_ros.evaluation.segment_dataset import coco_results_of, segmenter_categories
from yolact_ros.inference import Segmenter
from yolact_ros.network import Yolact
from yolact_ros.training.data.target import Target
from yolact_ros.training.losses.multibox import MultiBoxLoss
from yolact_ros.training.recipe import Recipe

Batch = tuple[np.ndarray[Any, Any], list[Target]]
VALIDATION_SCORE = 0.05
"""Instances below this are left out of validation, as in the published evaluation."""


class TrainingError(InputError):
    """Training cannot go on."""


class TrainingModule(lightning.LightningModule):
    """Training steps on random samples, and validation on a data set.

    A step depends on its number, the seed and the process's rank alone, never on what was computed
    before it, so that a resumed run goes on exactly like one that was never broken.

    Args:
        network: Trained in place.
        loss: The loss.
        recipe: Its optimiser is used.
        validation: Data set with the network's classes that validation measures on.
        steps: Batches in all.
        batch: Images in a step, over all processes.
        seed: Of what is random in a step.
        frozen_norms: Whether batch norms keep their statistics and parameters, as published for
            fewer than six images a GPU.
    """

    def __init__(
        self,
        *,
        network: Yolact,
        loss: MultiBoxLoss,
        recipe: Recipe,
        validation: CocoDataset,
        steps: int,
        batch: int,
        seed: int,
        frozen_norms: bool,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.recipe = recipe
        self.validation = validation
        self._truth = validation.content
        self.steps = steps
        self.batch = batch
        self.seed = seed
        self.frozen_norms = frozen_norms
        self._results: list[dict[str, Any]] = []
        if frozen_norms:
            for norm in self._norms():
                norm.requires_grad_(False)
                norm.eval()

    def train(self, mode: bool = True) -> TrainingModule:
        """As of any module, but frozen batch norms stay in evaluation mode."""
        super().train(mode)
        if self.frozen_norms:
            for norm in self._norms():
                norm.eval()
        return self

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Makes what is random in the step a function of its number."""
        key = np.random.SeedSequence([self.seed, self.global_rank, self.global_step])
        torch.manual_seed(int(key.generate_state(1, np.uint64)[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Images and targets to the summed loss."""
        images, targets = batch
        predictions = self.network(self._normalize(images))
        # Whatever precision the network runs in, losses are computed in fp32.
        with torch.autocast(self.device.type, enabled=False):
            predictions = predictions._replace(
                **{name: value.float() for name, value in predictions._asdict().items()}
            )
            self._require_finite("predictions", predictions._asdict())
            terms = self.loss(predictions, targets, mask_iou_net=self.network.maskiou_net)
            total = torch.stack(list(terms.values())).sum()
        self._require_finite("loss", terms)
        logged = {f"loss_{name}": value.detach() for name, value in terms.items()}
        logged["learning_rate"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        together = self.trainer.world_size > 1
        self.log_dict(logged, batch_size=len(targets), sync_dist=together)
        self.log("loss", total.detach(), batch_size=len(targets), prog_bar=True, sync_dist=together)
        return total

    def on_validation_epoch_start(self) -> None:
        """Measures the network that is there now: with averaging, the averaged one."""
        self._segmenter = Segmenter(
            network=self.network,
            device=str(self.device),
            precision="fp32",
            score_threshold=VALIDATION_SCORE,
        )
        self._results = []

    def validation_step(self, image: CocoImage, batch_idx: int) -> None:
        """Segments one image."""
        categories = segmenter_categories(self._segmenter.class_names, self.validation)
        with torch.autocast(self.device.type, enabled=False):
            [instances] = self._segmenter(self.validation.read_image(image), channel_order="rgb")
        self._results += coco_results_of(instances, image.id, categories)

    def measure(self) -> dict[str, float]:
        """AP and AP50 of masks and boxes over what all processes segmented, 0 to 1."""
        results = self._gathered_results()
        figures: dict[str, float] = {}
        for kind, name in (("segm", "mask"), ("bbox", "box")):
            metrics = coco_metrics(self._truth, results, kind)
            figures |= {f"{name}_ap": metrics.ap, f"{name}_ap50": metrics.ap50}
        return figures

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Moves the targets; images follow in `training_step`."""
        if isinstance(batch, CocoImage):
            return batch
        images, targets = batch
        return images, [target.to(device) for target in targets]

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """What the recipe says."""
        optimizer, scheduler = self.recipe.optimize(
            self.network, steps=self.steps, batch=self.batch
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _normalize(self, images: np.ndarray[Any, Any]) -> Tensor:
        """(B, S, S, 3) uint8 RGB to the network's input."""
        normalization = self.network.preset.normalization
        mean = torch.tensor(normalization.mean, device=self.device)
        std = torch.tensor(normalization.std, device=self.device)
        pixels = torch.from_numpy(images).to(self.device)
        # channels last in memory, as the network is
        return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)

    def _require_finite(self, what: str, values: Mapping[str, Tensor]) -> None:
        """Stops all processes if a value is not finite on one of them."""
        flags = torch.stack([~torch.isfinite(value).all() for value in values.values()]).int()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(flags)
        if flags.any():
            wrong = [name for name, flag in zip(values, flags.tolist(), strict=True) if flag]
            raise TrainingError(
                f"{what}: expected finite numbers at step {self.global_step}, got others in "
                f"{', '.join(wrong)}; a lower learning rate or gradient clipping may help"
            )

    def _gathered_results(self) -> list[dict[str, Any]]:
        if self.trainer.world_size == 1:
            return self._results
        shares: list[list[dict[str, Any]]] = [[]] * self.trainer.world_size
        torch.distributed.all_gather_object(shares, self._results)
        return [result for share in shares for result in share]

    def _norms(self) -> list[nn.Module]:
        return [m for m in self.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
