# SPDX-License-Identifier: Apache-2.0
"""Files that people take for weights: each is named, with what to do, by whatever reads weights."""

import argparse
import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save

from yolact_ros.checkpoints import CheckpointError, load_checkpoint, read_metadata
from yolact_ros.checkpoints.reading import read_weights
from yolact_ros.cli.main import main
from yolact_ros.errors import InputError
from yolact_ros.inference import Segmenter
from yolact_ros.training.starting_weights import start_backbone, start_from_weights
from yolact_testing.networks import random_network

TENSORS = {"backbone.conv1.weight": torch.arange(3000.0), "fpn.lat_layers.0.bias": torch.ones(5)}
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 205004800\n"
PAGE = "<!DOCTYPE html>\n<html><head><title>Google Drive -\n Virus scan</title></head></html>"
TORCHS_OWN_WORDS = ("weights_only", "torch.load", "trust", "miniz", "PytorchStreamReader", "\x1b")


class Malicious:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


def saved(content, **how):
    file = io.BytesIO()
    torch.save(content, file, **how)
    return file.getvalue()


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return file.getvalue()


def tarred(content):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("weights.pth")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def array(content):
    file = io.BytesIO()
    np.save(file, content)
    return file.getvalue()


def damaged(content):
    """The same with another name of a class in its pickle."""
    assert b"_rebuild_tensor_v2" in content
    return content.replace(b"_rebuild_tensor_v2", b"_rebuild_\xff\xfe\x1b[1m_v2", 1)


ZIPPED, NEW = saved(TENSORS), save(TENSORS)
OLD = saved(TENSORS, _use_new_zipfile_serialization=False)
SAVE_AGAIN = "torch.save(model.state_dict(), "

WRONG = {
    "web page": (PAGE.encode(), "is a web page ('Google Drive - Virus scan'), saved in place"),
    "bare page": (b"\xef\xbb\xbf\n\n <HTML>sign in</HTML>", "is a web page, saved in place"),
    "page in UTF-16": (PAGE.encode("utf-16"), "is a web page ('Google Drive - Virus scan')"),
    "page with accents": (f"<html>\xe9\xe8{PAGE}".encode("latin-1"), "is a web page ("),
    "answer in JSON": (b'{"error": "Repository not found"}', "is a text, not weights; it begins"),
    "answer in XML": (b"<?xml?><Error>AccessDenied</Error>", "it begins with '<?xml?><Error>Acc"),
    "coloured text": (b"\x1b[31mNot found", "it begins with"),
    "LFS pointer": (LFS.encode(), "is a Git LFS pointer, the note that stands for a large file"),
    "annex pointer": (b"/annex/objects/SHA256E-s205--4d7a.pth\n", "run `git annex get`"),
    "DVC pointer": (b"outs:\n- md5: 4d7a\n  path: weights.pth\n", "run `dvc pull`"),
    "empty": (b"", "is empty (0 bytes)"),
    "zeros": (bytes(5000), "begins with 4096 zeros"),
    "gz": (gzip.compress(ZIPPED), "is a gzip archive: unpack it"),
    "tar.gz": (gzip.compress(tarred(ZIPPED)), "is a gzip archive: unpack it"),
    "bz2": (bz2.compress(ZIPPED), "is a bzip2 archive: unpack it"),
    "xz": (lzma.compress(ZIPPED), "is an xz archive: unpack it"),
    "tar": (tarred(ZIPPED), "is a tar archive: unpack it"),
    "zip": (zipped("read.me", "a/mine.pth"), "is a zip archive of 2 files: unpack it and give a/"),
    "zip of nothing": (zipped(), "is a zip archive of 0 files"),
    "npz": (zipped("a.npy", "b.npy"), "holds NumPy arrays: give a .pth or .safetensors file"),
    "npy": (array(np.zeros(3)), "is a NumPy array: give a .pth or .safetensors file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "is an HDF5 file, such as Keras writes"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(90), "is a PNG picture"),
    "TorchScript": (zipped("m/data.pkl", "m/constants.pkl"), "is a TorchScript file"),
    "ONNX model": (
        b"\x08\x08\x12\x07pytorch",
        "is an exported ONNX model, whose weights cannot be loaded again: give the .pth",
    ),
    "exported program": (zipped("m/archive_format"), "is an exported program of torch.export, w"),
    "pickle": (pickle.dumps({"a": 1}), "is a Python pickle that torch.save did not write"),
    "program": (pickle.dumps(Malicious()), "is a Python pickle that torch.save did not write"),
    "program in a .pth": (saved({"a": Malicious()}), "exec) and not tensors alone"),
    "whole model": (saved(torch.nn.ReLU()), "(torch.nn.modules.activation.ReLU)"),
    "old whole model": (
        saved(torch.nn.ReLU(), _use_new_zipfile_serialization=False),
        "holds Python objects (",
    ),
    "settings": (saved({"opt": argparse.Namespace(a=1)}), "Python objects (argparse.Namespace)"),
    "NumPy scalar": (saved({"ap": np.float64(1)}), ".multiarray.scalar) and not tensors alone"),
    "list": (saved([torch.ones(1)]), "expected a dictionary of tensors in "),
    "dictionary without tensors": (saved({"a": 1, "b": {}}), "got 2 entries without tensors: a, b"),
    "empty dictionary": (saved({}), "got none"),
    "half": (ZIPPED[: len(ZIPPED) // 2], f"damaged: after its {len(ZIPPED) // 2} bytes"),
    "beginning": (ZIPPED[:70], "is cut off or damaged: after its 70 bytes"),
    "half of an old one": (OLD[: len(OLD) // 2], "is cut off or damaged: its "),
    "damaged": (damaged(ZIPPED), "download"),
    "half of a safetensors": (NEW[:9000], f"is cut off: 9000 of {len(NEW)} bytes are there"),
    "header of a safetensors": (NEW[:40], "is cut off: 40 of "),
    "broken safetensors": (NEW[:9] + b"?" + NEW[10:], "is a damaged .safetensors file"),
    "longer safetensors": (NEW + b"more", "is a damaged .safetensors file"),
    "something": (bytes(range(100, 256)), "it begins with the bytes 64 65 66"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_each_kind_is_named_whatever_the_name_says(tmp_path, kind):
    content, words = WRONG[kind]
    for suffix in (".pth", ".safetensors", ".onnx"):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"^weights: ") as error:
            read_weights(path)
        text = str(error.value)
        assert words in text and str(path) in text
        assert "\n" not in text and len(text) < 450
        assert not [word for word in TORCHS_OWN_WORDS if word in text]
        if "Python" in text:
            assert SAVE_AGAIN in text


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".anything"])
@pytest.mark.parametrize("content", [ZIPPED, OLD, NEW], ids=["zipped", "old", "new"])
def test_the_content_decides_and_not_the_name(tmp_path, content, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    file = read_weights(path)
    assert list(file.tensors) == list(TENSORS) and not file.remark
    assert all(torch.equal(file.tensors[name], tensor) for name, tensor in TENSORS.items())
    assert read_metadata(path) == {}


def test_folders_links_and_what_is_missing(tmp_path):
    with pytest.raises(CheckpointError, match=r"none at .*x\.pth$"):
        read_weights(tmp_path / "x.pth")
    (tmp_path / "link.pth").symlink_to("gone.pth")
    with pytest.raises(CheckpointError, match=r"none at .*link\.pth, a link to gone\.pth$"):
        read_weights(tmp_path / "link.pth")
    (tmp_path / "mine.pth").touch()
    with pytest.raises(CheckpointError, match=r"got the folder .*; the file mine\.pth is in it$"):
        read_weights(tmp_path)


def test_another_programs_network_is_named(tmp_path):
    path = tmp_path / "best.pt"
    content = saved({"model": argparse.Namespace()})
    path.write_bytes(content.replace(b"argparse\nNamespace", b"mmdet.all\nNamespac", 1))
    with pytest.raises(CheckpointError, match="It is another program's network, not YOLACT"):
        read_weights(path)


@pytest.mark.slow
def test_whatever_reads_weights_says_the_same(tmp_path, capfd):
    path = tmp_path / "x.pth"
    path.write_text(LFS)
    page = tmp_path / "x.onnx"
    page.write_text(PAGE)
    picture = tmp_path / "picture.png"
    picture.touch()
    network = random_network()
    for read in (
        lambda: Segmenter(weights=path, device="cpu"),
        lambda: Segmenter(weights=path, preset="yolact_base", device="cpu"),
        lambda: load_checkpoint(network, path),
        lambda: start_from_weights(network, path),
        lambda: start_backbone(network, str(path)),
    ):
        with pytest.raises(InputError, match=r"^weights: .* is a Git LFS pointer, "):
            read()
    with pytest.raises(InputError, match=r"^weights: expected an \.onnx file; .* is a web page"):
        Segmenter(weights=page, engine="onnxruntime", device="cpu")
    with pytest.raises(InputError, match="is a web page"):
        Segmenter(weights=page, device="cpu")
    scenes, weights = tmp_path / "scenes", ["--weights", path]
    assert main(["dataset", "synth", str(scenes), "--images", "1", "--image-size", "64x48"]) == 0
    data = ["--annotations", scenes / "annotations.json", "--images", scenes / "images"]
    sets = [
        "--train",
        data[1],
        "--train-images",
        data[3],
        "--val",
        data[1],
        "--val-images",
        data[3],
    ]
    capfd.readouterr()
    for words in (
        ["predict", picture, *weights, "--out", tmp_path / "out"],
        ["eval", *weights, *data, "--out", tmp_path / "out"],
        ["train", "--preset", "yolact_demo", *weights, *sets, "--out", tmp_path / "run"],
        ["export", *weights, "--out", tmp_path / "y.onnx"],
        ["weights", "inspect", path],
        ["weights", "convert", path, tmp_path / "y.safetensors"],
    ):
        assert main(list(map(str, words))) == 1
        line = capfd.readouterr().err
        assert "is a Git LFS pointer" in line and line.count("\n") == 1, words


def test_what_a_terminal_would_obey_never_leaves_an_error(tmp_path):
    with pytest.raises(CheckpointError) as error:
        read_weights(tmp_path / "a\x1b[1mb\x07.pth")
    assert str(error.value).endswith("/ab.pth")


def test_a_home_folder_is_known_everywhere(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HOME", str(tmp_path))
    network = random_network()
    path = tmp_path / "x.pth"
    torch.save(network.state_dict(), path)
    assert read_weights("~/x.pth").path == path
    load_checkpoint(network, "~/x.pth")
    assert len(Segmenter(preset="yolact_demo", weights="~/x.pth", device="cpu").class_names) == 8
    assert len(start_from_weights(network, "~/x.pth").kept) == len(network.state_dict())
    convert = ["weights", "convert", "~/x.pth", "~/y.safetensors"]
    assert main([*convert, "--preset", "yolact_demo"]) == 0
    assert json.loads(read_metadata("~/y.safetensors")["preset_definition"])["input_size"] == 320
