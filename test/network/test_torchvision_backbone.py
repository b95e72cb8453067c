# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch

from yolact_ros.network import build_network
from yolact_ros.network.torchvision_backbone import TorchvisionBackbone
from yolact_ros.presets import TorchvisionSpec, get_preset, with_backbone


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_large", "efficientnet_b0", "convnext_tiny"])
def test_a_network_on_another_backbone_predicts_and_trains(name):
    torch.manual_seed(0)
    base = dataclasses.replace(get_preset("yolact_demo"), input_size=128)
    preset = with_backbone(base, f"torchvision:{name}")
    assert preset.name == f"yolact_demo:{name}"
    network = build_network(preset)
    x = torch.randn(2, 3, 128, 128)
    features = network.backbone(x)
    assert [tuple(feature.shape[2:]) for feature in features] == [(16, 16), (8, 8), (4, 4)]
    assert tuple(feature.shape[1] for feature in features) == network.backbone.channels
    predictions = network(x)
    sum(output.mean() for output in predictions[:5]).backward()
    stem = next(network.backbone.parameters())
    assert stem.grad is not None and stem.grad.abs().sum() > 0
    layers = [layer for stage in network.backbone.stages for layer in stage]
    assert len(network.backbone.stages) == 3
    staged = [id(p) for layer in layers for p in layer.parameters()]
    ended = {id(p) for p in network.backbone.parameters() if p.grad is not None}
    assert ended <= set(staged)
    with torch.inference_mode():
        raw = network.eval()(x)
    assert raw.offsets.shape[1] == len(raw.priors)
    assert raw.prototypes.shape[1:3] == (32, 32)


def test_the_end_of_a_stage_is_chosen_and_not_a_branch_inside_a_block():
    backbone = TorchvisionBackbone(TorchvisionSpec("resnet18"))
    assert backbone.nodes == ("layer2.1.relu_1", "layer3.1.relu_1", "layer4.1.relu_1")
    assert backbone.channels == (128, 256, 512)
    backbone = TorchvisionBackbone(TorchvisionSpec("regnet_y_400mf"))
    assert backbone.channels == (104, 208, 440)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", "such as torchvision:mobilenet_v3_large, got 'resnet51'"),
        ("fasterrcnn_resnet50_fpn", "expected torchvision:NAME with a classification network"),
        ("vit_b_16", "torchvision:vit_b_16 cannot"),
        ("squeezenet1_0", "found none at 8, 16, 32"),
    ],
)
def test_networks_without_such_maps_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        TorchvisionBackbone(TorchvisionSpec(name))


@pytest.mark.parametrize("backbone", ["resnet18", "torchvision:", "timm:resnet18"])
def test_other_sources_are_refused(backbone):
    with pytest.raises(ValueError, match="backbone: expected torchvision:NAME"):
        with_backbone(get_preset("yolact_base"), backbone)
    with pytest.raises(ValueError, match="backbone: expected torchvision:NAME"):
        dataclasses.replace(get_preset("yolact_base"), backbone=backbone)


def test_a_preset_takes_the_backbone_as_text():
    preset = dataclasses.replace(get_preset("yolact_base"), backbone="torchvision:resnet18")
    assert preset.backbone == TorchvisionSpec("resnet18")


def test_depth_of_the_pyramid_and_of_the_heads_are_fields():
    preset = dataclasses.replace(
        get_preset("yolact_demo"),
        prior_sizes=((24, 32), (48, 64), (96, 128), (192, 256)),
        aspect_ratios=(1.0, 2.0),
        prototypes=8,
        head_convolutions=2,
        protonet_convolutions=1,
        input_size=160,
    )
    with torch.inference_mode():
        raw = build_network(preset).eval()(torch.zeros(1, 3, 160, 160))
    assert len(raw.priors) == 4 * (20 * 20 + 10 * 10 + 5 * 5 + 3 * 3)
    assert raw.coefficients.shape[2] == raw.prototypes.shape[3] == 8
