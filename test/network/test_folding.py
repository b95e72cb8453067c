# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch
from torch import nn

from yolact_ros.network import build_network
from yolact_ros.network.folding import fold_batch_norms
from yolact_ros.presets import DarkNetSpec, ResNetSpec, TorchvisionSpec, get_preset

pytestmark = pytest.mark.slow  # builds large networks

BACKBONES = {
    "basic": get_preset("yolact_demo").backbone,
    "bottleneck": ResNetSpec(block="bottleneck", blocks=(1, 2, 1, 1), width=8),
    "deformable": ResNetSpec(
        block="bottleneck", blocks=(1, 3, 2, 1), width=8, deformable_interval=2
    ),
    "darknet": DarkNetSpec(blocks=(1, 1, 2, 1, 1)),
    "torchvision:resnet18": TorchvisionSpec("resnet18"),
    "torchvision:mobilenet_v3_small": TorchvisionSpec("mobilenet_v3_small"),
    "torchvision:vgg11_bn": TorchvisionSpec("vgg11_bn"),
    "torchvision:densenet121": TorchvisionSpec("densenet121"),
    "torchvision:convnext_tiny": TorchvisionSpec("convnext_tiny"),
}


def build(backbone):
    """A network whose batch norms differ from the identity and whose sampling is deformed."""
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(get_preset("yolact_demo"), backbone=backbone))
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
            elif name.endswith("conv_offset_mask"):
                module.weight.normal_(0, 0.05)
                module.bias.normal_(0, 0.5)
    return network.eval()


def norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", BACKBONES)
def test_folding_changes_nothing_but_rounding(name):
    network = build(BACKBONES[name]).double()  # so that rounding does not hide mistakes
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded = fold_batch_norms(network)
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        expected, found = network(x), folded(x)
    for field, one, other in zip(expected._fields, expected, found, strict=True):
        largest = float(one.abs().max())
        torch.testing.assert_close(other, one, rtol=0, atol=1e-9 * largest, msg=field)
    assert norms(folded) == (62 if name.endswith("densenet121") else 0)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_the_test_networks_need_their_batch_norms():
    network = build(BACKBONES["deformable"])
    without = build(BACKBONES["deformable"])
    without.backbone.layers[1][0].bn2 = nn.Identity()
    x = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        assert float((network(x).prototypes - without(x).prototypes).abs().max()) > 1e-2


def test_a_map_taken_before_its_batch_norm_stays():
    # vgg11_bn has Conv, BatchNorm and ReLU in one sequence; the graph here ends at a convolution.
    from torchvision.models import vgg11_bn
    from torchvision.models.feature_extraction import create_feature_extractor

    from yolact_ros.network.folding import _fold_traced

    model = vgg11_bn(weights=None).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
    body = create_feature_extractor(model, ["features.4", "features.6"]).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = body(x)
        _fold_traced(body)
        found = body(x)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-5)


def test_the_copy_is_for_inference_and_the_original_can_still_train():
    network = build(BACKBONES["basic"]).train()
    folded = fold_batch_norms(network)
    assert not folded.training and network.training
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
