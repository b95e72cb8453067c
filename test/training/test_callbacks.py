# SPDX-License-Identifier: Apache-2.0
"""Which weights are kept."""

from types import SimpleNamespace

import torch

from yolact_ros.checkpoints import read_metadata
from yolact_ros.checkpoints.checkpoint import read_checkpoint
from yolact_ros.network import build_network
from yolact_ros.training.callbacks import FIGURES, BestWeights


def validate(callback, network, step, mask_ap):
    """One validation with that result; the network's first weight tells the step."""
    with torch.no_grad():
        network.backbone.conv1.weight.fill_(step)
    figures = dict.fromkeys(FIGURES, 0.9) | {"mask_ap": mask_ap}
    module = SimpleNamespace(measure=lambda: figures, log=lambda *a, **k: None, network=network)
    trainer = SimpleNamespace(global_step=step, is_global_zero=True)
    callback.on_validation_epoch_end(trainer, module)


def test_the_best_validation_is_kept_over_a_resumption(tmp_path):
    network = build_network("yolact_demo")
    path = tmp_path / "best.safetensors"
    first = BestWeights(path, {"seed": "1"})
    validate(first, network, 10, 0.3)
    validate(first, network, 20, 0.5)
    resumed = BestWeights(path, {"seed": "1"})
    resumed.load_state_dict(first.state_dict())
    validate(resumed, network, 30, 0.4)
    validate(resumed, network, 40, 0.5)
    assert (resumed.step, resumed.figures["mask_ap"], resumed.measured_step) == (20, 0.5, 40)
    assert read_checkpoint(path)["backbone.conv1.weight"].unique().tolist() == [20]
    metadata = read_metadata(path)
    assert (metadata["step"], metadata["mask_ap"], metadata["seed"]) == ("20", "0.5000", "1")


def test_a_first_validation_without_any_success_is_kept_too(tmp_path):
    callback = BestWeights(tmp_path / "best.safetensors", {})
    validate(callback, build_network("yolact_demo"), 5, 0.0)
    assert callback.path.is_file()
