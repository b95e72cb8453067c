# SPDX-License-Identifier: Apache-2.0
"""Single training steps."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from yolact_ros.datasets.coco import read_dataset
from yolact_ros.network import build_network
from yolact_ros.presets import get_preset
from yolact_ros.training.data.augmentation import augmentation_named
from yolact_ros.training.data.training_set import TrainingSet, collate
from yolact_ros.training.losses.multibox import MultiBoxLoss
from yolact_ros.training.module import TrainingError, TrainingModule
from yolact_ros.training.recipe import RECIPES

PRESET = dataclasses.replace(get_preset("yolact_demo"), input_size=160)


@pytest.fixture(scope="module")
def dataset(scenes):
    return read_dataset(scenes / "annotations.json", scenes / "images")


@pytest.fixture(scope="module")
def batch(dataset):
    none = augmentation_named("none")
    samples = TrainingSet(dataset, input_size=PRESET.input_size, augmentation=none, seed=0)
    return collate([samples[0], samples[1]])


def make_module(preset=PRESET, **changed):
    torch.manual_seed(0)
    options = {
        "network": build_network(preset),
        "loss": MultiBoxLoss(),
        "optimize": partial(RECIPES["short"].optimize, steps=30, batch=2),
        "seed": 0,
        "frozen_norms": False,
    }
    module = TrainingModule(**(options | changed))
    # There is no trainer: nothing to log to, and one process.
    module.log = module.log_dict = lambda *args, **options: None
    return module


class Alone:
    """What a step asks of the trainer."""

    world_size, global_step, global_rank, log_every_n_steps = 1, 0, 0, 1

    def __init__(self, optimizers=()):
        self.optimizers = list(optimizers)


def learn(module, batch, steps):
    configured = module.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    module._trainer = Alone([optimizer])
    losses = []
    for step in range(steps):
        loss = module.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(autouse=True)
def without_lightnings_checks(monkeypatch):
    monkeypatch.setattr(TrainingModule, "trainer", property(lambda self: self._trainer))
    monkeypatch.setattr(TrainingModule, "global_step", property(lambda self: 0))


def test_two_pictures_are_learned(batch):
    recipe = dataclasses.replace(RECIPES["short"], learning_rate=8e-3)
    losses = learn(
        make_module(optimize=partial(recipe.optimize, steps=30, batch=2)),
        batch,
        30,
    )
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("after_validation", [False, True])
def test_frozen_norms_stay_as_they_are_and_the_rest_learns(batch, after_validation):
    module = make_module(frozen_norms=True)
    norms = [m for m in module.network.modules() if isinstance(m, nn.BatchNorm2d)]
    others = module.network.fpn.lat_layers[0].weight.clone()
    if after_validation:
        module.eval()
        module.train()
    before = [value.clone() for norm in norms for value in norm.state_dict().values()]
    learn(module, batch, 2)
    after = [value for norm in norms for value in norm.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not torch.equal(others, module.network.fpn.lat_layers[0].weight)
    assert module.network.training


def test_frozen_stages_stay_as_they_are_and_the_rest_learns(batch):
    network = build_network(PRESET)
    frozen = [layer for stage in network.backbone.stages[:2] for layer in stage]
    module = make_module(network=network, frozen_layers=frozen)
    module.eval()
    module.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learn(module, batch, 2)
    kept = ("backbone.conv1.", "backbone.bn1.", "backbone.layers.0.", "backbone.layers.1.")
    for name, value in network.state_dict().items():
        if name.startswith(kept):
            assert torch.equal(value, before[name]), name
    for name in ("backbone.layers.2.0.conv1.weight", "backbone.layers.2.0.bn1.running_mean"):
        assert not torch.equal(network.state_dict()[name], before[name])


def test_norms_that_are_not_frozen_learn(batch):
    module = make_module()
    mean = module.network.backbone.bn1.running_mean.clone()
    learn(module, batch, 1)
    assert not torch.equal(mean, module.network.backbone.bn1.running_mean)


def test_the_input_is_normalised_as_for_inference(batch):
    from yolact_ros.inference.preprocess import Preprocessor

    images, _ = batch
    expected = Preprocessor(PRESET, torch.device("cpu"), torch.float32)(list(images), "rgb")
    torch.testing.assert_close(make_module()._normalize(images), expected)


def test_the_mask_iou_net_learns(batch):
    module = make_module(dataclasses.replace(PRESET, mask_iou=True))
    before = module.network.maskiou_net.maskiou_net[0].weight.clone()
    learn(module, batch, 2)
    assert not torch.equal(before, module.network.maskiou_net.maskiou_net[0].weight)


def test_a_value_that_is_no_number_stops_with_a_clear_word(batch):
    module = make_module()
    module._trainer = Alone()
    with torch.no_grad():
        module.network.proto_net[0].weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="finite numbers at step 0, got others in prototypes"):
        module.training_step(batch, 0)


def test_what_is_random_in_a_step_follows_from_its_number(monkeypatch):
    module = make_module()
    drawn = {}
    for step, rank in ((0, 0), (1, 0), (0, 1), (0, 0)):
        monkeypatch.setattr(TrainingModule, "global_step", property(lambda self, s=step: s))
        monkeypatch.setattr(TrainingModule, "global_rank", property(lambda self, r=rank: r))
        module.on_train_batch_start((np.empty(0), []), 0)
        value = torch.rand(1).item()
        assert drawn.setdefault((step, rank), value) == value
    assert len(set(drawn.values())) == 3
