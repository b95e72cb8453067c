# SPDX-License-Identifier: Apache-2.0
"""Learning rates and optimisers of the recipes."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from yolact_ros.training.recipe import RECIPES, averaging, default_steps, stepped_rate


def small_network():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    network[2].requires_grad_(False)
    return network


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.1),
        (250, 0.55),
        (499, 0.1 + 0.9 * 499 / 500),
        (500, 1),
        (279_999, 1),
        (280_000, 0.1),
        (599_999, 0.1),
        (600_000, 0.01),
        (700_000, 0.001),
        (750_000, 0.0001),
        (799_999, 0.0001),
    ],
)
def test_the_published_schedule(step, rate):
    assert stepped_rate(step, 800_000) == pytest.approx(rate)


def test_a_short_run_warms_up_for_a_tenth_of_it():
    assert [stepped_rate(step, 20) for step in range(3)] == pytest.approx([0.1, 0.55, 1])
    assert stepped_rate(7, 20) == pytest.approx(0.1)  # 0.35 of 20
    assert stepped_rate(0, 5) == 1


def test_sgd_takes_a_rate_in_proportion_to_the_batch():
    network = small_network()
    optimizer, scheduler = RECIPES["published"].optimize(network, steps=1000, batch=32)
    [group] = optimizer.param_groups
    assert isinstance(optimizer, torch.optim.SGD)
    assert group["momentum"] == 0.9
    assert group["weight_decay"] == 5e-4
    assert group["initial_lr"] == pytest.approx(4e-3)
    assert len(group["params"]) == 4, "without the convolution that is not trained"
    for _ in range(100):
        optimizer.step()
        scheduler.step()
    assert group["lr"] == pytest.approx(4e-3)


def test_one_cycle_rises_and_falls_and_ends_with_the_last_step():
    recipe = RECIPES["short"]
    optimizer, scheduler = recipe.optimize(small_network(), steps=100, batch=16)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert max(rates) == pytest.approx(2**0.5 * recipe.learning_rate, rel=1e-3)
    assert rates.index(max(rates)) in (7, 8)
    assert rates[-1] < 0.01 * max(rates)
    decays = [(group["weight_decay"], len(group["params"])) for group in optimizer.param_groups]
    assert decays == [(0.02, 1), (0.0, 3)], "biases and norms are not decayed"


@pytest.mark.parametrize("batch", [2, 8, 16, 64])
def test_the_rate_follows_the_batch_by_the_rule_of_each_optimiser(batch):
    assert RECIPES["published"].rate(batch) == pytest.approx(1e-3 * batch / 8)
    assert RECIPES["short"].rate(batch) == pytest.approx(1e-3 * (batch / 8) ** 0.5)


@pytest.mark.parametrize(("steps", "most"), [(20, 2e-6), (100, 1e-11), (600, 1e-15)])
def test_the_average_forgets_the_first_step(steps, most):
    """Its share, which was 0.998 ** 599 = 0.30 after 600 steps without the warm-up."""
    model = nn.Sequential(nn.BatchNorm1d(1))  # with a buffer of integers
    average = AveragedModel(model, multi_avg_fn=averaging(0.998), use_buffers=True)
    for step in range(steps):
        nn.init.constant_(model[0].weight, float(step == 0))
        average.update_parameters(model)
    assert 0 < average.module[0].weight.item() <= most


def test_the_average_ends_with_its_own_decay():
    model = nn.Linear(1, 1)
    average = AveragedModel(model, multi_avg_fn=averaging(0.5))
    expected = 0.0
    for step in range(12):
        nn.init.constant_(model.weight, step)
        average.update_parameters(model)
        decay = min(0.5, (1 + step) / (10 + step)) if step else 0.0
        expected = decay * expected + (1 - decay) * step
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)


def test_default_steps():
    assert default_steps(117_266, 8) == 800_000
    assert default_steps(117_266, 16) == 400_000
    assert default_steps(60, 8) == 3000


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"optimizer": "lion"}, "optimizer: expected sgd or adamw, got 'lion'"),
        ({"learning_rate": 0.0}, "learning_rate: expected more than 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected more than 0, got nan"),
        ({"weight_decay": -1.0}, "weight_decay: expected 0 or more, got -1.0"),
        ({"gradient_clip": float("inf")}, "gradient_clip: expected 0 or more, got inf"),
        ({"average": 1.0}, "average: expected 0 to below 1, got 1.0"),
    ],
)
def test_bad_values(changed, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPES["short"], **changed)
