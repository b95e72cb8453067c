# SPDX-License-Identifier: Apache-2.0
"""What is taken over from other weights, tensor by tensor."""

import dataclasses

import pytest
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from yolact_ros.checkpoints import CheckpointError, save_checkpoint
from yolact_ros.network import build_network
from yolact_ros.presets import Normalization, get_preset, with_classes
from yolact_ros.training.starting_weights import (
    imagenet_name,
    start_backbone,
    start_from_weights,
)

PRESET = get_preset("yolact_demo")


@pytest.fixture
def trained(tmp_path):
    """A network of the classes a, b, c, and its file."""
    torch.manual_seed(1)
    network = build_network(with_classes(PRESET, ("a", "b", "c")))
    for parameter in network.parameters():  # also the biases, which begin with zeros
        torch.nn.init.normal_(parameter)
    save_checkpoint(network, tmp_path / "trained.safetensors", {})
    return network.state_dict(), tmp_path / "trained.safetensors"


def test_the_same_classes_keep_everything(trained):
    state, path = trained
    network = build_network(with_classes(PRESET, ("a", "b", "c")))
    start = start_from_weights(network, path)
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert len(start.kept) == len(state)
    assert not start.new and not start.kept_rows and not start.new_classes
    assert str(start) == f"kept: {len(state)} tensors"


def test_classes_are_known_by_their_names(trained):
    state, path = trained
    network = build_network(with_classes(PRESET, ("new", "c", "a", "other")))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    start = start_from_weights(network, path)
    own = network.state_dict()
    priors = 3
    for part in ("weight", "bias"):
        name = f"prediction_layers.0.conf_layer.{part}"
        # rows: background and classes of the first prior, then of the second, ...
        there = state[name].unflatten(0, (priors, 4))
        here, fresh = (s[name].unflatten(0, (priors, 5)) for s in (own, before))
        for mine, theirs in ((0, 0), (2, 3), (3, 1)):  # background, c, a
            torch.testing.assert_close(here[:, mine], there[:, theirs], rtol=0, atol=0)
        for mine in (1, 4):
            torch.testing.assert_close(here[:, mine], fresh[:, mine], rtol=0, atol=0)
        name = f"semantic_seg_conv.{part}"
        torch.testing.assert_close(own[name][1], state[name][2], rtol=0, atol=0)
        torch.testing.assert_close(own[name][2], state[name][0], rtol=0, atol=0)
        torch.testing.assert_close(own[name][[0, 3]], before[name][[0, 3]], rtol=0, atol=0)
    others = [n for n in own if "conf_layer" not in n and "semantic" not in n]
    assert all(torch.equal(own[name], state[name]) for name in others)
    assert start.kept == tuple(others)
    assert start.classes == ("c", "a")
    assert start.new_classes == ("new", "other")
    assert "kept in part: 4 tensors (the rows of background, c, a)" in str(start)
    assert "new: the rows of new, other" in str(start)


def test_as_many_but_other_classes_are_not_taken_for_the_same(trained):
    state, path = trained
    network = build_network(with_classes(PRESET, ("x", "y", "z")))
    start = start_from_weights(network, path)
    assert start.new_classes == ("x", "y", "z")
    name = "semantic_seg_conv.weight"
    assert not torch.equal(network.state_dict()[name], state[name])


def test_another_architecture_is_refused(trained):
    _, path = trained
    other = build_network(with_classes(dataclasses.replace(PRESET, fpn_channels=32), ("a",)))
    start = start_from_weights(other, path)  # the backbone is the same: worth keeping
    assert any(name.startswith("fpn.") for name in start.new)
    narrow = dataclasses.replace(PRESET, backbone=dataclasses.replace(PRESET.backbone, width=16))
    with pytest.raises(CheckpointError, match="expected a network with the backbone of"):
        start_from_weights(build_network(narrow), path)


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        ("yolact_base", "resnet101"),
        ("yolact_plus_base", "resnet101"),
        ("yolact_resnet50", "resnet50"),
        ("yolact_darknet53", None),
        ("yolact_demo", None),
    ],
)
def test_the_name_in_torchvision(preset, name):
    assert imagenet_name(get_preset(preset)) == name


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory):
    torch.manual_seed(0)
    model = torchvision.models.resnet50(weights=None)
    path = tmp_path_factory.mktemp("imagenet") / "resnet50.pth"
    torch.save(model.state_dict(), path)
    return model.eval(), str(path)


def test_the_backbone_computes_what_torchvisions_does(resnet50):
    model, path = resnet50
    network = build_network("yolact_resnet50").eval()
    start = start_backbone(network, path)
    x = torch.randn(1, 3, 64, 64)
    nodes = {"layer2": "c3", "layer3": "c4", "layer4": "c5"}
    with torch.no_grad():
        expected = create_feature_extractor(model, nodes)(x)
        got = network.backbone(x)
    for name, features in zip(("c3", "c4", "c5"), got, strict=True):
        torch.testing.assert_close(features, expected[name])
    assert all(name.startswith("backbone.") for name in start.kept)
    assert not any(name.startswith("backbone.") for name in start.new)


def test_deformable_convolutions_take_over_the_plain_ones(resnet50):
    model, path = resnet50
    network = build_network("yolact_plus_resnet50")
    start_backbone(network, path)
    deformable = network.backbone.layers[1][0].conv2
    torch.testing.assert_close(deformable.weight, model.layer2[0].conv2.weight)
    assert not deformable.conv_offset_mask.weight.any()


def test_other_backbones(resnet50, tmp_path):
    _, path = resnet50
    demo = build_network("yolact_demo")
    assert start_backbone(demo, "auto") is None
    assert start_backbone(demo, "none") is None
    with pytest.raises(ValueError, match="torchvision does not have the backbone of yolact_demo"):
        start_backbone(demo, "imagenet")
    with pytest.raises(ValueError, match="expected torchvision's resnet101, got weights in which"):
        start_backbone(build_network("yolact_base"), path)
    mobile = get_preset("yolact_demo")
    mobile = dataclasses.replace(
        mobile, backbone="torchvision:mobilenet_v3_small", normalization=Normalization()
    )
    network = build_network(mobile)
    file = tmp_path / "mobilenet.pth"
    torch.manual_seed(3)
    model = torchvision.models.mobilenet_v3_small(weights=None)
    torch.save(model.state_dict(), file)
    start_backbone(network, str(file))
    torch.testing.assert_close(
        network.backbone.body.state_dict()["features.0.0.weight"],
        model.state_dict()["features.0.0.weight"],
    )


def test_weights_that_cannot_be_downloaded(monkeypatch):
    from urllib.error import URLError

    def unreachable(*arguments, **options):
        raise URLError("no route")

    # A fault that cannot be had otherwise: with a network, the download would succeed.
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(ValueError, match="expected to download torchvision's resnet50, got"):
        start_backbone(build_network("yolact_resnet50"), "auto")
