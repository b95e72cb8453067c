# SPDX-License-Identifier: Apache-2.0
import hashlib

import pytest
import torch
from safetensors.torch import load_file

from yolact_ros.checkpoints import load_checkpoint, preset_of, read_metadata
from yolact_ros.checkpoints.download import find_weights, weights_folder
from yolact_ros.checkpoints.reading import read_weights
from yolact_ros.cli.main import main
from yolact_ros.network import build_network
from yolact_ros.presets import get_preset, with_classes
from yolact_testing.networks import random_network

OWN = ("screw", "nut", "bolt")


@pytest.fixture
def network():
    return random_network(with_classes(get_preset("yolact_demo"), OWN))


@pytest.fixture
def authors_file(network, tmp_path):
    obsolete = {
        "backbone.layer1.0.conv1.weight": torch.zeros(1),
        "fpn.downsample_layers.2.weight": torch.zeros(1),
    }
    path = tmp_path / "mine_12_3400.pth"
    torch.save({**network.state_dict(), **obsolete}, path)
    return path


def run(capsys, *arguments):
    status = main(["weights", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def row(table, name):
    [line] = [line for line in table.splitlines() if line.split()[:1] == [name]]
    return line


def test_list_shows_what_is_published_and_what_is_here(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("YOLACT_ROS_WEIGHTS", str(tmp_path))
    (tmp_path / "yolact_im400_54_800000.pth").write_bytes(b"x" * 2_500_000)
    status, table, _ = run(capsys, "list")
    assert status == 0
    assert row(table, "yolact_im400").endswith(" yolact_im400_54_800000.pth, 2.5 MB")
    words = " ".join(row(table, "yolact_base").split())
    assert words == "yolact_base 80 550 201.1 MB yolact_base_54_800000.pth no"
    assert "README of dbolya/yolact" in row(table, "yolact_resnet50_pascal")
    assert table.endswith(f"folder: {tmp_path}\n")
    elsewhere = tmp_path / "elsewhere"
    assert row(run(capsys, "list", "--out", elsewhere)[1], "yolact_im400").endswith("no")


def test_weights_are_found_by_their_names(tmp_path, monkeypatch):
    preset = get_preset("yolact_base")
    assert find_weights(preset, tmp_path / "nowhere") is None
    for name in ("yolact_base_plus_1_2.pth", "yolact_base_x.pth", "my_yolact_base_1_2.pth"):
        (tmp_path / name).touch()
    assert find_weights(preset, tmp_path) is None
    expected = []
    for name in (
        "yolact_base_9_900.pth",
        "yolact_base_10_20.pth",
        "yolact_base.pth",
        "yolact_base.safetensors",
        "yolact_base_54_800000.pth",
    ):
        (tmp_path / name).touch()
        expected.append(find_weights(preset, tmp_path))
        assert expected[-1] == tmp_path / name
    monkeypatch.delenv("YOLACT_ROS_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_folder() == tmp_path / "yolact_ros" / "weights"


def test_convert_makes_a_file_that_says_what_it_is(network, authors_file, tmp_path, capsys):
    target = tmp_path / "mine.safetensors"
    arguments = ("convert", authors_file, target, "--preset", "yolact_demo")
    status, printed, _ = run(capsys, *arguments, "--class-names", *OWN)
    assert status == 0
    assert printed.splitlines() == [
        f"{target}: yolact_demo with 3 classes",
        "left out, as the authors' loader does: backbone.layer1.0.conv1.weight, "
        "fpn.downsample_layers.2.weight",
    ]
    preset = preset_of(target)
    assert preset == network.preset
    other = build_network(preset)
    load_checkpoint(other, target)
    for name, tensor in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    metadata = read_metadata(target)
    assert metadata["source"] == "mine_12_3400.pth"
    assert metadata["source_sha256"] == hashlib.sha256(authors_file.read_bytes()).hexdigest()

    # Once more, from safetensors: nothing needs to be said and nothing is lost.
    again = tmp_path / "again.safetensors"
    assert run(capsys, "convert", target, again)[0] == 0
    assert read_metadata(again) == metadata
    first, second = read_weights(target).tensors, read_weights(again).tensors
    assert list(second) == list(first)
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


def test_convert_halves_the_file(network, authors_file, tmp_path):
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    options = ("--class-names", *OWN)
    assert main(["weights", "convert", str(authors_file), str(whole), *options]) == 0
    assert main(["weights", "convert", str(authors_file), str(half), *options, "--half"]) == 0
    assert half.stat().st_size < 0.52 * whole.stat().st_size
    found = load_file(half)
    for name, tensor in network.state_dict().items():
        expected = tensor.half() if tensor.is_floating_point() else tensor
        torch.testing.assert_close(found[name], expected, rtol=0, atol=0)


def test_convert_replaces_a_file_only_if_told_to(authors_file, tmp_path, capsys):
    target = tmp_path / "mine.safetensors"
    target.write_bytes(b"precious")
    arguments = ("convert", authors_file, target, "--class-names", *OWN)
    status, _, error = run(capsys, *arguments)
    assert (status, target.read_bytes()) == (1, b"precious")
    assert "exists; --force replaces it" in error
    assert run(capsys, *arguments, "--force")[0] == 0
    assert preset_of(target).class_names == OWN


FITS = "it fits yolact_demo with 3 classes"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ((), 1, FITS),
        (("--preset", "yolact_demo"), 1, FITS),
        (("--preset", "yolact_base", "--class-names", *OWN), 1, FITS),
        (("--class-names", "a", "b"), 1, "class_names: expected 3 names for it, got 2"),
        (("--class-names", "a", "b", "a"), 1, "class_names: expected one or more different names"),
        (("--preset", "yolact_dem"), 2, "did you mean 'yolact_demo'"),
    ],
)
def test_convert_refuses_what_does_not_fit(
    authors_file, tmp_path, refused, options, status, message
):
    target = tmp_path / "mine.safetensors"
    refusal = refused("weights", "convert", authors_file, target, *options)
    assert refusal[0] == status and message in refusal[1]
    assert not target.exists()


def test_convert_writes_safetensors_alone(authors_file, tmp_path, refused):
    status, message = refused("weights", "convert", authors_file, tmp_path / "mine.pth")
    assert status == 2
    assert "OUT: expected a file name that ends in .safetensors, not a folder, where" in message


def test_inspect_says_what_is_in_a_file(network, authors_file, tmp_path, capsys):
    status, printed, _ = run(capsys, "inspect", authors_file)
    assert status == 0
    entries = dict(line.split(maxsplit=1) for line in printed.splitlines() if line[0] != " ")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    tensors = len(network.state_dict())
    assert entries["tensors"] == f"{tensors}, {parameters / 1e6:.2f} M parameters, float32"
    assert entries["classes"] == "3"
    assert entries["fits"].startswith("yolact_demo with 3 classes")
    assert entries["obsolete"].startswith("backbone.layer1.0.conv1.weight, fpn.downsample_layers.2")

    target = tmp_path / "mine.safetensors"
    run(capsys, "convert", authors_file, target, "--class-names", *OWN)
    _, printed, _ = run(capsys, "inspect", target)
    assert "preset        yolact_demo, 320 pixels, 3 classes\n" in printed
    assert "class names   screw, nut, bolt\n" in printed
    assert "source        mine_12_3400.pth\n" in printed
    assert "obsolete" not in printed


def test_inspect_of_something_else(tmp_path, capsys):
    path = tmp_path / "other.pth"
    torch.save({"model": {"weight": torch.tensor([[0.0, torch.nan]])}}, path)
    status, printed, _ = run(capsys, "inspect", path)
    assert status == 0
    assert "broken        1 tensors with values that are not finite: weight" in printed
    assert "names         the tensors of its entry 'model' were taken" in printed
    assert "fits          no preset" in printed
    assert "classes       not recognised" in printed
    path.write_bytes(b"no checkpoint")
    status, _, error = run(capsys, "inspect", path)
    assert status == 1
    assert error.startswith("yolact-ros: weights: ")
