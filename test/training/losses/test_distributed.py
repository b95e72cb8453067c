# SPDX-License-Identifier: Apache-2.0
"""Two processes with a batch each against one process with the joined batch."""

import os
import subprocess
import sys

import pytest
import torch

SCRIPT = """
import dataclasses
import sys

import torch
import torch.distributed as dist
from torch import nn

from yolact_ros.training.data.target import Target
from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.presets import get_preset
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.loss_cost import random_predictions, random_target
from yolact_ros.training.losses.multibox import MultiBoxLoss

PRESET = dataclasses.replace(get_preset("yolact_demo"), input_size=128)


class Model(nn.Module):
    # Predictions of the images, scaled by shared parameters, and their losses.
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.scales = nn.ParameterList([torch.rand(1) + 0.5 for _ in range(5)])
        self.net = MaskIouNet(PRESET.num_classes - 1)
        self.loss = MultiBoxLoss(max_masks=1000, class_loss=sys.argv[4])

    def forward(self, predictions, targets):
        scaled = [value * scale for value, scale in zip(predictions[:5], self.scales)]
        scaled = TrainingPredictions(*scaled, predictions.priors)
        return self.loss(scaled, targets, mask_iou_net=self.net)


# Four images with 1, 6, 0 and 3 objects; a batch is a range of them.
first, last = int(sys.argv[1]), int(sys.argv[2])
generator = torch.Generator().manual_seed(0)
made = random_predictions(PRESET, 4, generator, torch.device("cpu"))
targets = [random_target(PRESET, count, generator) for count in (1, 6, 1, 3)]
gone = targets[2]
targets[2] = Target(gone.boxes[:0], gone.class_ids[:0], gone.masks[:0], gone.boxes)
batch = TrainingPredictions(*(value[first:last].detach() for value in made[:5]), made.priors)

model = Model()
if len(sys.argv) > 5:
    rank = int(sys.argv[5])
    dist.init_process_group("gloo", init_method="file://" + sys.argv[6], rank=rank, world_size=2)
    model = nn.parallel.DistributedDataParallel(model)
terms = model(batch, targets[first:last])
sum(terms.values()).backward()
gradients = {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}
torch.save(({name: value.detach() for name, value in terms.items()}, gradients), sys.argv[3])
if dist.is_initialized():
    dist.destroy_process_group()
"""


def start(first, last, out, class_loss, *rank):
    arguments = [str(value) for value in (first, last, out, class_loss, *rank)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=environment)


# Also with batches of different size, with one rank without any object, and with none on either.
@pytest.mark.parametrize(
    ("ranges", "class_loss"),
    [
        (((0, 2), (2, 4)), "softmax"),
        (((0, 1), (1, 4)), "focal"),
        (((0, 2), (2, 3)), "softmax"),
        (((2, 3), (2, 3)), "softmax"),
    ],
)
def test_two_processes_equal_one_with_the_joined_batch(tmp_path, ranges, class_loss):
    joined = (ranges[0][0], ranges[1][1])
    store = tmp_path / "store"
    running = [
        start(*part, tmp_path / f"{rank}.pt", class_loss, rank, store)
        for rank, part in enumerate(ranges)
    ]
    running.append(start(*joined, tmp_path / "joined.pt", class_loss))
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    (one, gradients), (other, same_gradients), (terms, expected) = (
        torch.load(tmp_path / f"{name}.pt") for name in ("0", "1", "joined")
    )
    assert terms["semantic"] > 0
    assert bool(terms["mask_iou"]) == (ranges[0] != ranges[1])
    for name, value in terms.items():
        assert ((one[name] + other[name]) / 2).item() == pytest.approx(value.item(), rel=1e-6), name
    for name, gradient in expected.items():
        assert torch.equal(gradients[name], same_gradients[name])  # averaged by torch itself
        bound = 1e-6 * max(gradient.abs().max().item(), 1e-3)
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-5, atol=bound)
