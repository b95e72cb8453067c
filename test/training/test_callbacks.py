# SPDX-License-Identifier: Apache-2.0
"""Which weights are kept, and which ones validation sees."""

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.utils.data import DataLoader

from yolact_ros.checkpoints import read_metadata
from yolact_ros.checkpoints.reading import read_weights
from yolact_ros.network import build_network
from yolact_ros.training.callbacks import FIGURES, BestWeights


class Counting(lightning.LightningModule):
    """Each step fills the network's first weight with the number of steps done."""

    def __init__(self):
        super().__init__()
        self.network = build_network("yolact_demo")

    @property
    def weight(self):
        return self.network.backbone.conv1.weight

    def training_step(self, batch, batch_idx):
        with torch.no_grad():
            self.weight.fill_(self.global_step + 1)
        return 0 * self.weight.sum()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def train_dataloader(self):
        return DataLoader([(0, 0)])  # a picture and its pixels in validation

    val_dataloader = train_dataloader


class Validator:
    """Stands for the real one: returns the given mask APs and notes the weights that it saw."""

    def __init__(self, *mask_aps):
        self.mask_aps = list(mask_aps)
        self.seen = []

    def segment(self, network, image, pixels):
        self.seen += network.backbone.conv1.weight.unique().tolist()

    def measure(self):
        return dict.fromkeys(FIGURES, 0.9) | {"mask_ap": self.mask_aps.pop(0)}


def fit(folder, validator, *, steps, averaging=(), resume=None):
    """Trains up to a step with a validation after each, and writes a checkpoint at the end."""
    best = BestWeights(validator, folder / "best.safetensors", {"seed": "1"})
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=steps,
        callbacks=[best, *averaging],
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Counting(), ckpt_path=resume, weights_only=True)
    trainer.save_checkpoint(folder / "last.ckpt")
    return best


def test_the_best_validation_is_kept_over_a_resumption(tmp_path):
    fit(tmp_path, Validator(0.3, 0.5), steps=2)
    validator = Validator(0.4, 0.5)
    resumed = fit(tmp_path, validator, steps=4, resume=tmp_path / "last.ckpt")
    assert validator.seen == [3, 4]
    assert (resumed.step, resumed.figures["mask_ap"], resumed.measured_step) == (2, 0.5, 4)
    assert read_weights(resumed.path).tensors["backbone.conv1.weight"].unique().tolist() == [2]
    metadata = read_metadata(resumed.path)
    assert (metadata["step"], metadata["mask_ap"], metadata["seed"]) == ("2", "0.5000", "1")


def test_a_first_validation_without_any_success_is_kept_too(tmp_path):
    best = fit(tmp_path, Validator(0.0), steps=1)
    assert best.path.is_file()


def test_averaged_weights_are_measured_and_kept(tmp_path):
    validator = Validator(0.1, 0.2)
    averaging = [EMAWeightAveraging(decay=0.5)]
    best = fit(tmp_path, validator, steps=2, averaging=averaging)
    assert validator.seen == [1, 1.5]
    assert read_weights(best.path).tensors["backbone.conv1.weight"].unique().tolist() == [1.5]
