# SPDX-License-Identifier: Apache-2.0
"""Two processes with a batch each against one process with the joined batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

# The first and last image of each process's batch, and options of the loss. Also with batches of
# different size, with one rank without any object, and with none on either.
CASES = [
    (((0, 2), (2, 4)), {}),
    (((0, 1), (1, 4)), {"class_loss": "focal"}),
    (((0, 2), (2, 3)), {}),
    (((0, 2), (2, 3)), {"least_negatives": 20}),
    (((2, 3), (2, 3)), {}),
]

SCRIPT = """
import dataclasses
import json
import sys

import torch
import torch.distributed as dist
from torch import nn

from loop import random_predictions, random_target
from yolact_ros.training.data.target import Target
from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.presets import get_preset
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.losses.multibox import MultiBoxLoss

PRESET = dataclasses.replace(get_preset("yolact_demo"), input_size=128)


class Model(nn.Module):
    # Predictions of the images, scaled by shared parameters, and their losses.
    def __init__(self, options):
        super().__init__()
        torch.manual_seed(0)
        self.scales = nn.ParameterList([torch.rand(1) + 0.5 for _ in range(5)])
        self.net = MaskIouNet(PRESET.num_classes - 1)
        self.loss = MultiBoxLoss(max_masks=1000, **options)

    def forward(self, predictions, targets):
        scaled = [value * scale for value, scale in zip(predictions[:5], self.scales)]
        scaled = TrainingPredictions(*scaled, predictions.priors)
        return self.loss(scaled, targets, mask_iou_net=self.net)


# Four images with 1, 6, 0 and 3 objects; a batch is a range of them.
generator = torch.Generator().manual_seed(0)
made = random_predictions(PRESET, 4, generator)
targets = [random_target(PRESET, count, generator) for count in (1, 6, 1, 3)]
gone = targets[2]
targets[2] = Target(gone.boxes[:0], gone.class_ids[:0], gone.masks[:0], gone.boxes)

batches, out, *rank = sys.argv[1:]
if rank:
    number, store = rank
    dist.init_process_group("gloo", init_method="file://" + store, rank=int(number), world_size=2)
results = []
for first, last, options in json.loads(batches):
    batch = TrainingPredictions(*(value[first:last].detach() for value in made[:5]), made.priors)
    model = Model(options)
    if rank:
        model = nn.parallel.DistributedDataParallel(model)
    terms = model(batch, targets[first:last])
    sum(terms.values()).backward()
    gradients = {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}
    results.append(({name: value.detach() for name, value in terms.items()}, gradients))
torch.save(results, out)
if rank:
    dist.destroy_process_group()
"""


def start(batches, out, *rank):
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]  # of loop.py
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    arguments = [json.dumps(batches), str(out), *map(str, rank)]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=environment)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Terms and gradients of each case: those of the two processes and of the one."""
    folder = tmp_path_factory.mktemp("results")
    running = [
        start(
            [(*ranges[rank], options) for ranges, options in CASES],
            folder / f"{rank}.pt",
            rank,
            folder / "store",
        )
        for rank in range(2)
    ]
    joined = [(ranges[0][0], ranges[1][1], options) for ranges, options in CASES]
    running.append(start(joined, folder / "joined.pt"))
    assert [process.wait(timeout=240) for process in running] == [0, 0, 0]
    return list(zip(*(torch.load(folder / f"{n}.pt") for n in ("0", "1", "joined")), strict=True))


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: f"{CASES[case]}")
def test_two_processes_equal_one_with_the_joined_batch(results, case):
    (one, gradients), (other, same_gradients), (terms, expected) = results[case]
    ranges, _ = CASES[case]
    assert terms["semantic"] > 0
    assert bool(terms["mask_iou"]) == (ranges[0] != ranges[1])
    for name, value in terms.items():
        assert ((one[name] + other[name]) / 2).item() == pytest.approx(value.item(), rel=1e-6), name
    for name, gradient in expected.items():
        assert torch.equal(gradients[name], same_gradients[name])  # averaged by torch itself
        bound = 1e-6 * max(gradient.abs().max().item(), 1e-3)
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-5, atol=bound)
