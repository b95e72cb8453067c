# SPDX-License-Identifier: Apache-2.0
"""Programs of torch.export run where torch and torchvision are, without this package."""

import json
import subprocess
import sys
import zipfile

import pytest
import torch

from yolact_ros.export import export_network
from yolact_ros.export.description import describe
from yolact_ros.inference import SegmenterOptions
from yolact_ros.inference.engines.exported_file import ExportedFile
from yolact_testing.networks import small_plus

pytestmark = pytest.mark.slow  # exports networks, and runs them in another process

_RUN = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "yolact_ros":
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
import torch, torchvision

file, images, results = sys.argv[1:]
extra = {"metadata.json": ""}
network = torch.export.load(file, extra_files=extra).module()
outputs = [network(batch) for batch in torch.load(images)]
torch.save((extra["metadata.json"], outputs), results)
"""


@pytest.fixture(scope="module")
def network():
    return small_plus()


OPTIONS = SegmenterOptions(0.1, 20)


@pytest.fixture(scope="module")
def program(network, tmp_path_factory):
    """The exported file, and its differences from the network."""
    path = tmp_path_factory.mktemp("program") / "x.pt2"
    return path, export_network(network, path, format="torch", options=OPTIONS)


def test_a_program_runs_without_this_package(tmp_path, network, program):
    path, differences = program
    assert max(differences.values()) < 1e-5
    batches = [torch.randn(size, 3, 128, 128) for size in (1, 3)]
    torch.save(batches, tmp_path / "images.pt")
    paths = [tmp_path / name for name in ("images.pt", "results.pt")]
    result = subprocess.run(
        [sys.executable, "-c", _RUN, path, *paths], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    text, outputs = torch.load(tmp_path / "results.pt")
    file = ExportedFile.from_metadata(json.loads(text), "x.pt2")
    assert file == ExportedFile(network.preset, "fp32", OPTIONS)
    for images, found in zip(batches, outputs, strict=True):
        with torch.inference_mode():
            raw = network(images)
        for name, values in raw._asdict().items():
            torch.testing.assert_close(found[name], values, rtol=0, atol=1e-4, msg=name)
        assert found["boxes"].shape == (len(images), 20, 4)
        assert (found["scores"] > 0.1).all()
        assert set(found) == {
            *raw._fields, "boxes", "scores", "class_ids", "detection_coefficients", "mask_scores",
        }  # fmt: skip


def test_what_it_is_can_be_read_without_running_it(program):
    path, _ = program
    entries = describe(path)
    assert entries["format"] == "torch.export program" and entries["precision"] == "fp32"
    assert entries["preset"] == "yolact_demo, 128 pixels, 8 classes"
    assert json.loads(entries["options"])["max_instances"] == 20


def test_the_file_holds_no_paths_of_this_machine(program):
    path, _ = program
    with zipfile.ZipFile(path) as archive:
        content = b"".join(map(archive.read, archive.namelist()))
    for word in (b"yolact_ros/network", b"site-packages"):
        assert word not in content
