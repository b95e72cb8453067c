# SPDX-License-Identifier: Apache-2.0
import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from yolact_ros.checkpoints import (
    CheckpointError,
    load_checkpoint,
    preset_of,
    read_metadata,
    save_checkpoint,
)
from yolact_ros.checkpoints.fitting import expected_shapes
from yolact_ros.network import build_network
from yolact_ros.presets import get_preset, with_backbone, with_classes
from yolact_testing.comparing import assert_same
from yolact_testing.networks import random_network


@pytest.fixture
def network():
    return random_network()


def snapshot(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_safetensors_round_trip_with_metadata(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_checkpoint(network, path, {"seed": "3"})
    other = build_network("yolact_demo")
    load_checkpoint(other, path)
    assert_same(other.state_dict(), network.state_dict())
    metadata = read_metadata(path)
    assert metadata["seed"] == "3"
    assert metadata["preset"] == "yolact_demo"
    assert json.loads(metadata["preset_definition"])["class_names"][0] == "ball"
    assert preset_of(path) == get_preset("yolact_demo")


@pytest.mark.slow
def test_a_changed_preset_is_built_again_from_its_weights_alone(tmp_path):
    small = with_classes(get_preset("yolact_demo"), ["screw", "nut"])
    preset = with_backbone(small, "torchvision:mobilenet_v3_small")
    path = tmp_path / "weights.safetensors"
    network = build_network(preset)
    save_checkpoint(network, path, {})
    described = preset_of(path)
    assert described == preset
    other = build_network(described)
    load_checkpoint(other, path)
    assert_same(other.state_dict(), network.state_dict())


@pytest.mark.parametrize(
    ("metadata", "name"),
    [({"preset": "yolact_demo"}, "yolact_demo"), ({"preset": "unheard_of"}, None), ({}, None)],
)
def test_metadata_may_say_less(network, tmp_path, metadata, name):
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path, metadata=metadata)
    assert preset_of(path) == (name and get_preset(name))
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    assert preset_of(tmp_path / "weights.pth") is None


def test_a_broken_definition_of_a_preset_is_one_line(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path, metadata={"preset_definition": '{"zoom": 1}'})
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: .*unknown fields zoom"):
        preset_of(path)


def test_writing_leaves_nothing_behind_and_never_half_a_file(network, tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    save_checkpoint(network, path, {"version": "old"})
    sample = tmp_path / "sample"
    sample.touch()
    assert path.stat().st_mode == sample.stat().st_mode
    sample.unlink()

    def full_disk(tensors, name, metadata):
        with open(name, "wb") as file:
            file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("yolact_ros.checkpoints.checkpoint.save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(network, path, {"version": "new"})
    assert list(tmp_path.iterdir()) == [path]
    assert read_metadata(path)["version"] == "old"
    with pytest.raises(ValueError, match=r"ends in \.safetensors"):
        save_checkpoint(network, tmp_path / "weights.pth", {})
    with pytest.raises(ValueError, match="expected a folder"):
        save_checkpoint(network, tmp_path / "no" / "weights.safetensors", {})


def test_a_file_is_on_the_disk_before_it_has_its_name(network, tmp_path, monkeypatch):
    done = []

    def flush(descriptor):
        done.append(f"flush {os.readlink(f'/proc/self/fd/{descriptor}')}")

    def replace(source, target, replace=os.replace):
        done.append(f"flush {source}" in done)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", replace)
    save_checkpoint(network, tmp_path / "x.safetensors", {})
    assert done[1:] == [True, f"flush {tmp_path}"]


def test_an_authors_file_with_its_obsolete_tensors_loads(network, tmp_path):
    state = snapshot(network)
    path = tmp_path / "weights.pth"
    extra = {"backbone.layer1.0.conv1.weight": torch.zeros(1)}
    extra["fpn.downsample_layers.2.weight"] = torch.zeros(1)
    torch.save({**state, **extra}, path)
    other = build_network("yolact_demo")
    load_checkpoint(other, path)
    assert_same(other.state_dict(), state)


@pytest.mark.parametrize("zipped", [True, False])
def test_the_authors_way_of_saving_loads(network, tmp_path, zipped):
    # Theirs were written by PyTorch 1.0, before files were zip archives.
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=zipped)
    other = build_network("yolact_demo")
    load_checkpoint(other, path)
    assert_same(other.state_dict(), network.state_dict())


@pytest.mark.slow
def test_tensors_that_do_not_fit_are_listed_and_nothing_is_changed(network, tmp_path):
    state = snapshot(network)
    broken = dict(state)
    del broken["fpn.lat_layers.0.bias"]
    broken["surplus.weight"] = torch.zeros(3)
    broken["proto_net.10.bias"] = torch.zeros(99)
    path = tmp_path / "weights.safetensors"
    save_file(broken, path)
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.5)
    before = snapshot(network)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(network, path)
    assert "1 missing: fpn.lat_layers.0.bias" in str(error.value)
    assert "1 unexpected: surplus.weight" in str(error.value)
    expected = f"proto_net.10.bias (expected ({network.preset.prototypes},), got (99,))"
    assert expected in str(error.value)
    assert str(error.value).endswith("; it fits no preset")
    assert_same(network.state_dict(), before)


def tensors_of(preset):
    # One element each, spread out: a file of a few kilobytes.
    return {name: torch.zeros(()).expand(shape) for name, shape in expected_shapes(preset).items()}


@pytest.mark.parametrize(
    ("preset", "verdict"),
    [
        ("yolact_resnet50", "it fits yolact_resnet50"),
        ("yolact_resnet50_pascal", "it fits yolact_resnet50_pascal"),
        (
            with_classes(get_preset("yolact_resnet50"), "abcde"),
            "it fits yolact_resnet50 and yolact_resnet50_pascal with 5 classes "
            "(instead of 80 or 20), whose names must be given: class_names, on the command line "
            "--class-names, in the order of their training",
        ),
        (
            with_classes(get_preset("yolact_demo"), "abcde"),
            "it fits yolact_demo with 5 classes (instead of 8), whose names must be given: "
            "class_names, on the command line --class-names, in the order of their training",
        ),
        (
            with_backbone(get_preset("yolact_demo"), "torchvision:mobilenet_v3_small"),
            "fits no preset",
        ),
    ],
)
def test_the_preset_that_fits_is_named_and_nothing_is_changed(network, tmp_path, preset, verdict):
    preset = get_preset(preset) if isinstance(preset, str) else preset
    path = tmp_path / "weights.pth"
    torch.save(tensors_of(preset), path)
    before = snapshot(network)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(network, path)
    assert "does not fit the network of yolact_demo (8 classes): " in str(error.value)
    assert str(error.value).endswith(verdict)
    assert_same(network.state_dict(), before)


def test_integers_are_not_taken_for_weights(network, tmp_path):
    path = tmp_path / "weights.pth"
    state = snapshot(network)
    state["proto_net.10.bias"] = state["proto_net.10.bias"].to(torch.int8)
    torch.save(state, path)
    before = snapshot(network)
    with pytest.raises(CheckpointError, match=r"of another type: proto_net\.10\.bias .torch\.int8"):
        load_checkpoint(network, path)
    assert_same(network.state_dict(), before)


def test_half_precision_files_load_into_full_precision(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    state = {k: v.half() if v.is_floating_point() else v for k, v in snapshot(network).items()}
    save_file(state, path)
    load_checkpoint(network, path)
    single = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    assert_same(network.state_dict(), single)
    assert network.proto_net[0].weight.dtype is torch.float32


class Malicious:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_are_no_checkpoint_give_one_line(network, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    contents = [b"", b"not a checkpoint", pickle.dumps(Malicious()), pickle.dumps({"a": "b"})]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"^weights: ") as error:
            load_checkpoint(network, path)
        assert "\n" not in str(error.value)
        if suffix == ".safetensors":
            with pytest.raises(CheckpointError, match=r"^weights: .* is "):
                read_metadata(path)


def test_a_missing_file_is_named(network, tmp_path):
    with pytest.raises(CheckpointError, match=r"none at .*nowhere\.pth"):
        load_checkpoint(network, tmp_path / "nowhere.pth")
    with pytest.raises(CheckpointError, match=r"none at .*nowhere\.safetensors"):
        preset_of(tmp_path / "nowhere.safetensors")


def test_a_file_of_something_else_than_tensors_is_refused(network, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3, "lr": 0.1}, path)
    with pytest.raises(CheckpointError, match="got 2 entries without tensors: epoch, lr"):
        load_checkpoint(network, path)
    torch.save([torch.zeros(1)], path)
    with pytest.raises(CheckpointError, match=r"expected a dictionary of tensors .* got list"):
        load_checkpoint(network, path)


def test_a_full_disk_is_the_systems_error_and_leaves_what_was_there(
    network, tmp_path, files_end_at
):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"before")
    files_end_at(1000)
    with pytest.raises(OSError, match=r"File too large: '.*/a\.safetensors'"):
        save_checkpoint(network, path, {})
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
