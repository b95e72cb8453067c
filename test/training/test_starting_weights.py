# SPDX-License-Identifier: Apache-2.0
"""What is taken over from other weights, tensor by tensor."""

import dataclasses

import pytest
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from yolact_ros.checkpoints import CheckpointError, save_checkpoint
from yolact_ros.checkpoints.fitting import expected_shapes
from yolact_ros.network import build_network
from yolact_ros.presets import Normalization, get_preset, preset_names, with_classes
from yolact_ros.training.starting_weights import (
    imagenet_name,
    imagenet_version,
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


PUBLISHED = [name for name in preset_names() if name != "yolact_demo"]
OWN = ("screw", "nut", "bolt")


def stand_in(path, preset):
    """A file as the authors' code writes it, with one element for each of a preset's tensors."""
    shapes = expected_shapes(preset)
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}, path)
    return path


def without_memory(preset):
    """The preset's network, of which only the shapes are known."""
    with torch.device("meta"):
        return build_network(preset)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_authors_file_of_each_preset_is_compared_with_the_wanted_one(tmp_path, name):
    preset = get_preset(name)
    start = start_from_weights(without_memory(preset), stand_in(tmp_path / "x.pth", preset))
    assert set(start.kept) == set(expected_shapes(preset))
    assert not start.new and not start.kept_rows and start.classes == preset.class_names
    [remark] = start.remarks
    assert f"{len(preset.class_names)} classes, which are taken for" in remark
    assert remark.endswith("give --weights-class-names") and remark in str(start)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_yolact_starts_yolact_plus(tmp_path):
    path = stand_in(tmp_path / "x.pth", get_preset("yolact_resnet50"))
    start = start_from_weights(without_memory("yolact_plus_resnet50"), path)
    assert {"backbone.layers.1.0.conv2.weight", "fpn.lat_layers.0.bias"} <= set(start.kept)
    new = {name for name in start.new if not name.startswith(("prediction_", "maskiou_net."))}
    assert new and all("conv_offset_mask" in name or "conv2.bias" in name for name in new)


@pytest.mark.slow
def test_a_file_with_own_classes_starts_a_network_with_others(tmp_path):
    """Its rows are known by the names that the user gives, and left out without names."""
    preset = get_preset("yolact_plus_resnet50")
    path = stand_in(tmp_path / "x.pth", with_classes(preset, OWN))
    network = build_network(with_classes(preset, ("nut", "washer")))
    shared = len(expected_shapes(preset)) - 6  # weights and biases of three layers by class
    named = start_from_weights(network, path, OWN)
    assert len(named.kept) == shared and len(named.kept_rows) == 6
    assert (named.classes, named.new_classes, named.new) == (("nut",), ("washer",), ())
    assert named.remarks == ()
    nameless = start_from_weights(network, path)
    assert (nameless.kept, nameless.kept_rows) == (named.kept, named.kept_rows)
    assert (nameless.classes, nameless.new_classes) == ((), ("nut", "washer"))
    [remark] = nameless.remarks
    assert "does not name its 3 classes, whose rows are not kept; --weights-class-names" in remark
    message = r"weights_class_names: expected 3 names for .*, got 2"
    with pytest.raises(CheckpointError, match=message):
        start_from_weights(network, path, OWN[:2])


def test_rows_of_a_pth_file_are_those_of_the_names_given(trained, tmp_path):
    state, _ = trained
    path = tmp_path / "trained.pth"
    torch.save({"model": {f"module.{name}": tensor for name, tensor in state.items()}}, path)
    network = build_network(with_classes(PRESET, ("c", "new")))
    before = network.state_dict()["semantic_seg_conv.bias"].clone()
    start = start_from_weights(network, path, ("a", "b", "c"))
    name = "semantic_seg_conv.bias"
    assert network.state_dict()[name].tolist() == [state[name][2], before[1]]
    head = network.state_dict()["prediction_layers.0.conf_layer.bias"].view(3, 3)
    there = state["prediction_layers.0.conf_layer.bias"].view(3, 4)
    assert torch.equal(head[:, :2], there[:, [0, 3]])
    assert "its entry 'model' were taken, 'module.' was taken off" in start.remarks[0]
    assert start_from_weights(network, path).kept_rows  # the background's
    assert torch.equal(
        network.state_dict()["prediction_layers.0.conf_layer.bias"].view(3, 3)[:, 0], there[:, 0]
    )


def test_a_published_number_of_classes_is_told_from_the_names_that_are_given(tmp_path):
    path = tmp_path / "x.pth"
    torch.save(build_network(PRESET).state_dict(), path)
    network = build_network(with_classes(PRESET, ("ball", "new")))
    assert start_from_weights(network, path).classes == ("ball",)
    assert start_from_weights(network, path, ("new", *"abcdefg")).classes == ("new",)


def test_what_only_training_needs_may_be_missing(trained, tmp_path):
    state, _ = trained
    path = tmp_path / "x.pth"
    kept = {n: t for n, t in state.items() if not n.endswith("tracked") and "semantic" not in n}
    torch.save(kept, path)
    network = build_network(with_classes(PRESET, ("a", "b", "c")))
    start = start_from_weights(network, path, ("a", "b", "c"))
    assert start.new == ("semantic_seg_conv.weight", "semantic_seg_conv.bias")
    assert set(start.kept) == set(kept)


def test_weights_that_are_no_numbers_start_nothing(trained, tmp_path):
    state, _ = trained
    path = tmp_path / "x.pth"
    torch.save({**state, "fpn.lat_layers.0.bias": torch.full((64,), torch.nan)}, path)
    with pytest.raises(
        CheckpointError, match=r"1 with values that are not finite: fpn\.lat_layers"
    ):
        start_from_weights(build_network(PRESET), path)


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
    if name:
        weights = torchvision.models.get_model_weights(name)
        version = weights[imagenet_version(get_preset(preset))]
        assert version is weights.IMAGENET1K_V1 is not weights.DEFAULT, "as published"


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


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")},
        lambda state: {"arch": "resnet50", "state_dict": prefixed(state, "module.")},
        lambda state: prefixed(state, "module.encoder_q."),
    ],
)
def test_backbone_files_of_other_programs(resnet50, tmp_path, wrap):
    model, _ = resnet50
    path = tmp_path / "x.pth"
    torch.save(wrap(model.state_dict()), path)
    network = build_network("yolact_resnet50")
    start = start_backbone(network, str(path))
    assert torch.equal(network.backbone.layers[3][2].conv3.weight, model.layer4[2].conv3.weight)
    assert not any(name.startswith("backbone.") for name in start.new)


def test_a_backbone_by_our_own_names_is_the_authors_form(tmp_path):
    path = tmp_path / "x.pth"
    torch.manual_seed(5)
    trained, network = build_network(PRESET), build_network(PRESET)
    torch.save(prefixed(trained.backbone.state_dict(), "backbone."), path)
    start = start_backbone(network, str(path))
    for one, other in zip(
        network.backbone.parameters(), trained.backbone.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    assert not any(key.startswith("backbone.") for key in start.new)


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_the_authors_file_of_darknet_starts_its_backbone(tmp_path):
    path = tmp_path / "darknet53.pth"
    shapes = {
        name.removeprefix("backbone."): shape
        for name, shape in expected_shapes(get_preset("yolact_darknet53")).items()
        if name.startswith("backbone.")
    }
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}, path)
    start = start_backbone(without_memory("yolact_darknet53"), str(path))
    assert set(start.kept) == {f"backbone.{name}" for name in shapes}


def test_a_whole_network_is_no_backbone_and_the_reverse(resnet50, trained):
    _, path = trained
    with pytest.raises(ValueError, match=r"expected a backbone alone, .* give it as weights \(--w"):
        start_backbone(build_network(PRESET), str(path))
    with pytest.raises(
        CheckpointError, match=r"backbone alone in .*resnet50\.pth; .*--backbone-weig"
    ):
        start_from_weights(build_network(PRESET), resnet50[1])


def test_weights_that_cannot_be_downloaded(monkeypatch):
    from urllib.error import URLError

    def unreachable(*arguments, **options):
        raise URLError("no route")

    # A fault that cannot be had otherwise: with a network, the download would succeed.
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(ValueError, match="expected to download torchvision's resnet50, got"):
        start_backbone(build_network("yolact_resnet50"), "auto")
