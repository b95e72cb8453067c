# SPDX-License-Identifier: Apache-2.0
import pickle

import pytest
import torch
from safetensors.torch import save_file

from yolact_ros.network import (
    CheckpointError,
    build_network,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network("yolact_demo")


def snapshot(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_same(network, state):
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_safetensors_round_trip_with_metadata(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_checkpoint(network, path, {"preset": "yolact_demo"})
    other = build_network("yolact_demo")
    load_checkpoint(other, path)
    assert_same(other, network.state_dict())
    assert read_metadata(path) == {"preset": "yolact_demo"}


def test_an_authors_file_with_its_obsolete_tensors_loads(network, tmp_path):
    state = snapshot(network)
    path = tmp_path / "weights.pth"
    extra = {"backbone.layer1.0.conv1.weight": torch.zeros(1)}
    extra["fpn.downsample_layers.2.weight"] = torch.zeros(1)
    torch.save({**state, **extra}, path)
    other = build_network("yolact_demo")
    load_checkpoint(other, path)
    assert_same(other, state)


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
    assert_same(network, before)


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


def test_a_missing_file_is_named(network, tmp_path):
    with pytest.raises(CheckpointError, match=r"none at .*nowhere\.pth"):
        load_checkpoint(network, tmp_path / "nowhere.pth")


def test_a_file_of_something_else_than_tensors_is_refused(network, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3}, path)
    with pytest.raises(CheckpointError, match="expected a dictionary of tensors"):
        load_checkpoint(network, path)
