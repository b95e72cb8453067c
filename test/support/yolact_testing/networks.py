# SPDX-License-Identifier: Apache-2.0
"""Networks with weights that no training made."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from yolact_ros.checkpoints import save_checkpoint
from yolact_ros.network import Yolact, build_network
from yolact_ros.presets import Preset, ResNetSpec, get_preset

GOLDEN = Path(__file__).parents[2] / "golden" / "fill_weights.py"

parametrize_device = pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(
                not torch.cuda.is_available(), reason="torch finds no CUDA device"
            ),
        ),
    ],
)
"""Runs a test with `device` "cpu", and "cuda" where there is one."""


def random_network(preset: Preset | str = "yolact_demo", *, eager: float = 0.0) -> Yolact:
    """Random weights, the same in each call; `eager` is taken off the background's logit.

    With 2, the demo's network sees something everywhere.
    """
    torch.manual_seed(0)
    network = build_network(preset)
    if eager:
        classes = 1 + len(network.preset.class_names)
        with torch.no_grad():
            network.prediction_layers[0].conf_layer.bias.view(-1, classes)[:, 0] -= eager
    return network


def small_plus() -> Yolact:
    """A small YOLACT++ in evaluation mode: convolutions that deform, and a mask-IoU net.

    Its random weights see something everywhere, and rate the masks.
    """
    preset = dataclasses.replace(
        get_preset("yolact_demo"),
        backbone=ResNetSpec("bottleneck", (1, 1, 1, 1), 16, deformable_interval=1),
        input_size=128,
        mask_iou=True,
    )
    network = random_network(preset, eager=2)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "conv_offset_mask" in name:
                parameter.normal_(0, 0.02)
        network.maskiou_net.maskiou_net[10].bias.uniform_(0.3, 0.9)
    return network.eval()


def random_weights(
    folder: Path, preset: Preset | str = "yolact_demo", *, eager: float = 0.0
) -> Path:
    """Write the weights of `random_network`, and return the file."""
    path = folder / "random.safetensors"
    save_checkpoint(random_network(preset, eager=eager), path, {})
    return path


def fill_with_recipe(network: Yolact) -> Yolact:
    """Give a network the weights that the reference outputs were made with; in evaluation mode."""
    recipe = runpy.run_path(str(GOLDEN))
    entries = [[name, list(value.shape), ""] for name, value in network.state_dict().items()]
    filled = recipe["fill_state"](entries, network.preset.name)
    network.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in filled.items()})
    return network.eval()
