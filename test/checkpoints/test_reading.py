# SPDX-License-Identifier: Apache-2.0
"""A network's tensors among what other programs put around them and before their names."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel

from yolact_ros.checkpoints import CheckpointError, choose_preset, load_checkpoint
from yolact_ros.checkpoints.conversion import convert_checkpoint
from yolact_ros.checkpoints.fitting import expected_shapes
from yolact_ros.checkpoints.reading import read_weights
from yolact_ros.cli.main import main
from yolact_ros.inference.loading import load_network
from yolact_ros.network import build_network
from yolact_ros.presets import get_preset, with_classes
from yolact_testing.comparing import assert_same
from yolact_testing.networks import random_network


@pytest.fixture(scope="module")
def network():
    return random_network()


@pytest.fixture(scope="module")
def state(network):
    return network.state_dict()


def named(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


def within(state, wrapper, *parts):
    """The names as they are where some submodules are wrapped."""
    return {
        ".".join(f"{part}.{wrapper}" if part in parts else part for part in name.split(".")): tensor
        for name, tensor in state.items()
    }


ADAM = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
LIGHTNING = "pytorch-lightning_version"
LOSS = {"loss.weight": torch.ones(3)}
WRAPPED = {
    "state_dict": (lambda s: {"state_dict": s}, "its entry 'state_dict'"),
    "model and optimizer": (
        lambda s: {"optimizer": ADAM, "epoch": 3, "model": s, "best": None},
        "its entry 'model'",
    ),
    "net": (lambda s: {"net": s, "acc": torch.ones(())}, "its entry 'net'"),
    "two deep": (lambda s: {"model": {"state_dict": named(s, "net.")}}, "entry 'model.state_dict'"),
    "an average beside": (
        lambda s: {"ema": s, "model": s},
        "its entry 'ema' were taken (and not those of 'model')",
    ),
    "numbers beside the tensors": (lambda s: {**s, "epoch": 3}, ""),
    "DataParallel": (lambda s: named(s, "module."), "'module.' was taken off"),
    "model.": (lambda s: named(s, "model."), "'model.' was taken off"),
    "deep": (lambda s: named(s, "module.model.net."), "'module.model.net.' was taken off"),
    "compiled": (lambda s: named(s, "_orig_mod."), "'_orig_mod.' was taken off"),
    "compiled in DataParallel": (lambda s: named(s, "module._orig_mod."), "'module._orig_mod.'"),
    "parts compiled": (lambda s: within(s, "_orig_mod", "backbone", "fpn"), ""),
    "parts in DataParallel": (lambda s: within(s, "module", "backbone"), ""),
    "Lightning": (
        lambda s: {"state_dict": {**named(s, "network."), **LOSS}, LIGHTNING: "2"},
        "'state_dict' were taken, 'network.' was taken off the tensors' names, 1 left out: loss",
    ),
    "with an average": (
        lambda s: {**named(s, "net."), **named(s, "net_ema.")},
        "left out: net_ema",
    ),
    "averaged": (
        lambda s: {**named(s, "module."), "n_averaged": torch.ones(())},
        "out: n_averaged",
    ),
    "Parameters": (
        lambda s: {
            k: torch.nn.Parameter(v, requires_grad=v.is_floating_point()) for k, v in s.items()
        },
        "",
    ),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_tensors_are_found_and_it_is_said_how(tmp_path, state, kind):
    path = tmp_path / "x.pth"
    wrap, words = WRAPPED[kind]
    torch.save(wrap(state), path)
    file = read_weights(path)
    assert_same(dict(file.tensors), dict(state))
    assert words in file.remark and bool(words) == bool(file.remark)


def test_names_as_torchs_own_averaging_has_them(network, state):
    found = named(state, "module.").keys() | {"n_averaged"}
    assert AveragedModel(network).state_dict().keys() == found


def test_a_log_line_tells_what_was_taken_off(tmp_path, state, caplog):
    path = tmp_path / "x.safetensors"
    save_file(named(state, "module."), path)
    other = build_network("yolact_demo")
    load_checkpoint(other, path)
    assert_same(other.state_dict(), state)
    [line] = caplog.messages
    assert line == f"weights: {path}: 'module.' was taken off the tensors' names"


def test_the_state_of_our_own_training_is_not_taken_where_its_weights_are(tmp_path, state):
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": named(state, "network."), LIGHTNING: "2"}, path)
    assert len(read_weights(path).tensors) == len(state)  # of a run that came no further
    (tmp_path / "best.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"goes on from; the weights are in .*best\.safetens"):
        read_weights(path)


def test_what_a_network_can_do_without_may_be_missing(tmp_path, state, network):
    path, target = tmp_path / "x.pth", tmp_path / "y.safetensors"
    needed = {
        name: tensor
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked") and not name.startswith("semantic_seg_conv.")
    }
    assert len(needed) < len(state) - 10
    torch.save(needed, path)
    convert_checkpoint(path, target, preset="yolact_demo")
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network.eval()(x)
        for file in (path, target):
            found = load_network("yolact_demo", file)(x)
            torch.testing.assert_close(found.class_scores, expected.class_scores)
    torch.save({k: v for k, v in needed.items() if "running_mean" not in k}, path)
    with pytest.raises(CheckpointError, match=r"\d+ missing: backbone\.bn1\.running_mean"):
        load_network("yolact_demo", path)


def test_counts_of_batches_may_be_of_any_type(tmp_path, state):
    path = tmp_path / "x.pth"
    half = {name: tensor.half() for name, tensor in state.items()}
    half["backbone.bn1.num_batches_tracked"] = torch.tensor(torch.inf, dtype=torch.half)
    torch.save(half, path)
    load_checkpoint(build_network("yolact_demo"), path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path, state, value):
    path = tmp_path / "x.pth"
    name = "prediction_layers.0.conf_layer.weight"
    broken = state[name].clone()
    broken[0, 0, 0, 0] = value
    torch.save({**state, name: broken}, path)
    message = rf"1 with values that are not finite: {name}; the training went wrong"
    for refuse in (
        lambda: load_network("yolact_demo", path),
        lambda: convert_checkpoint(path, tmp_path / "y.safetensors", preset="yolact_demo"),
    ):
        with pytest.raises(CheckpointError, match=message):
            refuse()


def stand_in(path, preset, leave_out=()):
    """A file with the shapes of a preset's tensors, of one element each: a few kilobytes."""
    shapes = expected_shapes(preset)
    names = [name for name in shapes if not name.startswith(tuple(leave_out))]
    torch.save({name: torch.zeros(()).expand(shapes[name]) for name in names}, path)
    return path


@pytest.mark.slow
def test_classes_that_a_file_does_not_name_are_never_assumed_in_silence(tmp_path, caplog):
    path = stand_in(tmp_path / "yolact_resnet50_54_800000.pth", get_preset("yolact_resnet50"))
    words = (
        "does not name its 80 classes, which are taken for person, bicycle, car, ..., toothbrush"
    )
    for preset in (None, "yolact_resnet50"):
        caplog.clear()
        choose_preset(path, preset)
        [line] = caplog.messages
        assert f"{path} {words}; if they are others, give class_names (--class-names)" in line
    caplog.clear()
    own = [f"part {number}" for number in range(80)]
    assert choose_preset(path, "yolact_resnet50", own).class_names == tuple(own)
    assert caplog.messages == []


def test_nor_are_those_of_a_file_that_was_found(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("YOLACT_ROS_WEIGHTS", str(tmp_path))
    tiny = dataclasses.replace(get_preset("yolact_demo"), name="tiny")
    torch.save(random_network().state_dict(), tmp_path / "tiny.pth")
    load_network(tiny)
    [line] = caplog.messages
    assert "does not name its 8 classes, which are taken for ball, " in line
    load_network(tiny, class_names=list("abcdefgh"))
    assert len(caplog.messages) == 1


@pytest.mark.slow
def test_another_number_of_classes_is_said_with_what_to_give(tmp_path):
    path = stand_in(tmp_path / "x.pth", with_classes(get_preset("yolact_base"), ["screw"]))
    fits = "it fits yolact_base, yolact_im400 and yolact_im700 with 1 class (instead of 80), whose"
    for preset in (None, "yolact_base"):
        with pytest.raises(CheckpointError) as error:
            choose_preset(path, preset)
        assert fits in str(error.value) and "class_names, on the command line --class-names" in str(
            error.value
        )
    for names in (["screw", "nut"], list("abcdef")):
        for preset in (None, "yolact_base"):
            with pytest.raises(
                CheckpointError, match=rf"class_names: expected 1 names .* {len(names)}"
            ):
                choose_preset(path, preset, names)
    assert choose_preset(path, "yolact_base", ["screw"]).class_names == ("screw",)


@pytest.mark.slow
def test_yolact_plus_without_its_mask_iou_net(tmp_path, caplog):
    plus = get_preset("yolact_plus_resnet50")
    path = stand_in(tmp_path / "x.pth", plus, ["maskiou_net."])
    without = dataclasses.replace(plus, mask_iou=False)
    assert choose_preset(path, plus.name) == without
    assert "has no mask-IoU net, so that scores are those of the classes alone" in caplog.text
    assert choose_preset(path) == without
    with pytest.raises(CheckpointError, match="fits yolact_plus_resnet50 without its mask-IoU net"):
        choose_preset(path, "yolact_resnet50", list("abc"))
        load_network("yolact_resnet50", path)


BACKBONES = {
    "torchvision": ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight"],
    "DataParallel": ["module.conv1.weight", "module.layer1.0.conv1.weight"],
    "the authors' DarkNet": ["_preconv.0.weight", "layers.0.0.0.weight"],
    "MobileNet": ["features.0.0.weight", "classifier.0.weight"],
    "the backbone of a network": ["backbone.conv1.weight", "backbone.layers.0.0.conv1.weight"],
}


@pytest.mark.parametrize("kind", BACKBONES)
def test_a_backbone_alone_is_no_network(tmp_path, kind, capsys):
    path = tmp_path / "x.pth"
    torch.save({name: torch.zeros(3) for name in BACKBONES[kind]}, path)
    for preset in (None, "yolact_demo"):
        with pytest.raises(
            CheckpointError, match=r"got the backbone alone in .*--backbone-weights"
        ):
            load_network(weights=path, preset=preset)
    assert main(["weights", "inspect", str(path)]) == 0
    assert "no preset: a backbone alone, from which" in capsys.readouterr().out


def test_other_networks_are_not_taken_for_a_backbone(tmp_path):
    path = tmp_path / "x.pth"
    for names in (["backbone.body.conv1.weight", "rpn.head.conv.weight"], ["model.0.conv.weight"]):
        torch.save({name: torch.zeros(3) for name in names}, path)
        with pytest.raises(CheckpointError, match="it fits no preset"):
            load_network(weights=path)
