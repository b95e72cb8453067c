# SPDX-License-Identifier: Apache-2.0
"""Exported ONNX files give what the network gives."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from yolact_ros.export import export, export_network
from yolact_ros.export.onnx_format import choose_opset
from yolact_ros.inference import SegmenterOptions
from yolact_ros.inference.decode import detect
from yolact_ros.inference.engines.exported_file import ExportedFile
from yolact_ros.inference.engines.onnxruntime import OnnxNetwork
from yolact_ros.inference.rescore import rescore
from yolact_ros.network import build_network
from yolact_ros.ops.suppression import batch_cross_class_fast_nms, batch_fast_nms
from yolact_ros.presets import ResNetSpec, get_preset, preset_from_json

pytestmark = pytest.mark.slow  # exports networks, and runs them in ONNX Runtime

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

BATCHES = {"yolact_demo": (1, 3), "small_plus": (2,)}
BOUND = 1e-3
"""Of each raw output, relative to its largest value or to 1: what docs/export.md promises."""


def run(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images.numpy()}), strict=True))


def random_batch(network, batch, seed=0):
    side = network.preset.input_size
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("preset", BATCHES)
def test_outputs_equal_those_of_torch(exported, preset):
    network, path = exported(preset)
    options = SegmenterOptions()
    for batch in BATCHES[preset]:
        images = random_batch(network, batch, seed=batch)
        outputs = run(path, images)
        with torch.inference_mode():
            raw = network(images)
            for name, values in raw._asdict().items():
                unit = max(1.0, float(values.abs().max()))
                np.testing.assert_allclose(
                    outputs[name], values, rtol=0, atol=BOUND * unit, err_msg=name
                )
            for i in range(batch):
                kept, mask_scores = rescore(
                    network.maskiou_net, raw.prototypes[i], detect(raw, i, options), options
                )
                count = len(kept.scores)
                assert (outputs["scores"][i] > 0).sum() == count
                np.testing.assert_allclose(outputs["scores"][i, :count], kept.scores, atol=1e-4)
                np.testing.assert_array_equal(outputs["class_ids"][i, :count], kept.class_ids)
                np.testing.assert_allclose(outputs["boxes"][i, :count], kept.boxes, atol=1e-4)
                np.testing.assert_allclose(
                    outputs["detection_coefficients"][i, :count], kept.coefficients, atol=2e-3
                )
                assert ("mask_scores" in outputs) == (mask_scores is not None)
                if mask_scores is not None:
                    np.testing.assert_allclose(
                        outputs["mask_scores"][i, :count], mask_scores, atol=1e-3
                    )


def test_the_file_says_what_it_is(exported):
    network, path = exported("yolact_demo")
    model = onnx.load(path, load_external_data=False)
    assert (model.ir_version, [entry.version for entry in model.opset_import]) == (8, [18])
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert preset_from_json(metadata["preset_definition"]) == network.preset
    assert json.loads(metadata["class_names"]) == list(network.preset.class_names)
    assert json.loads(metadata["mean"]) == list(network.preset.normalization.mean)
    assert json.loads(metadata["std"]) == list(network.preset.normalization.std)
    assert metadata["input_size"] == "320" and metadata["channel_order"] == "rgb"
    assert json.loads(metadata["options"])["nms"] == "fast"
    expected = ExportedFile(network.preset, "fp32", SegmenterOptions())
    assert ExportedFile.from_metadata(metadata, path) == expected
    [images] = model.graph.input
    dimensions = images.type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dimensions] == ["batch", 3, 320, 320]
    content = path.read_bytes()
    for word in (b"yolact_ros/network", b"site-packages", b"stack_trace"):
        assert word not in content


def small(**changes):
    torch.manual_seed(0)
    preset = dataclasses.replace(get_preset("yolact_demo"), input_size=96, **changes)
    network = build_network(preset).eval()
    with torch.no_grad():
        network.prediction_layers[0].conf_layer.bias.view(-1, 9)[:, 0] -= 2
        if network.maskiou_net:
            network.maskiou_net.maskiou_net[10].bias.uniform_(0.3, 0.9)
    return network


@pytest.mark.parametrize(
    "options",
    [
        SegmenterOptions(0.1, 7, "cross_class", 0.3, ("mug", "ring"), rescoring="class"),
        SegmenterOptions(0.05, 30, "fast", 0.7, rescoring="product"),
    ],
)
def test_options_are_constants_of_the_file(tmp_path, options):
    network = small(mask_iou=True)
    export_network(network, tmp_path / "x.onnx", options=options)
    images = random_batch(network, 2)
    outputs = run(tmp_path / "x.onnx", images)
    assert outputs["scores"].shape == (2, options.max_instances)
    assert ("mask_scores" in outputs) == (options.rescoring != "class")
    with torch.inference_mode():
        raw = network(images)
        class_ids = options.class_ids(network.preset.class_names)
        for i in range(2):
            kept, _ = rescore(
                network.maskiou_net,
                raw.prototypes[i],
                detect(raw, i, options, class_ids),
                options,
            )
            count = len(kept.scores)
            assert 0 < count == (outputs["scores"][i] > 0).sum()
            np.testing.assert_allclose(outputs["scores"][i, :count], kept.scores, atol=1e-5)
            np.testing.assert_array_equal(outputs["class_ids"][i, :count], kept.class_ids)


class _Suppression(nn.Module):
    def __init__(self, suppress):
        super().__init__()
        self._suppress = suppress
        self.register_buffer("limits", torch.tensor([0.5, 0.1]))

    def forward(self, boxes, scores):
        return tuple(self._suppress(boxes, scores, *self.limits, 12, 9))


@pytest.mark.parametrize("suppress", [batch_fast_nms, batch_cross_class_fast_nms])
def test_equal_scores_are_taken_in_order_as_in_torch(tmp_path, suppress):
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 40, 2, generator=generator)
    boxes = torch.cat([corners, corners + 0.3], dim=2)
    scores = torch.randint(0, 4, (2, 40, 3), generator=generator) / 4  # many equal ones
    module = _Suppression(suppress).eval()
    program = torch.onnx.export(module, (boxes, scores), opset_version=20, verbose=False)
    program.save(tmp_path / "nms.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "nms.onnx")
    names = [value.name for value in session.get_inputs()]
    got = session.run(None, dict(zip(names, (boxes.numpy(), scores.numpy()), strict=True)))
    for one, other in zip(got, module(boxes, scores), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (got[2] == 0.75).sum() > 2


@pytest.fixture(scope="module")
def full_precision(tmp_path_factory):
    """The file of `small()`, and its differences from torch."""
    path = tmp_path_factory.mktemp("full") / "x.onnx"
    return path, export_network(small(), path)


def test_half_precision_is_near(tmp_path, full_precision):
    network = small()
    differences = export_network(network, tmp_path / "x.onnx", precision="fp16")
    assert 1e-5 < differences["prototypes"] < 3e-2
    path, full = full_precision
    assert max(full.values()) < 1e-5
    assert (tmp_path / "x.onnx").stat().st_size < 0.6 * path.stat().st_size
    assert run(tmp_path / "x.onnx", random_batch(network, 1))["prototypes"].dtype == np.float32


def test_raw_outputs_of_one_image_open_in_opencv(tmp_path):
    import cv2

    network, path = small(), tmp_path / "x.onnx"
    assert max(export_network(network, path, raw=True, batch=1).values()) < 1e-5
    images = random_batch(network, 3)
    with torch.inference_mode():
        expected = network(images)
    model = cv2.dnn.readNetFromONNX(str(path))
    model.setInput(images[:1].numpy(), "images")
    names = ["offsets", "class_scores", "coefficients", "prototypes", "priors"]
    for name, values in zip(names, model.forward(names), strict=True):
        wanted = getattr(expected, name)
        wanted = wanted if name == "priors" else wanted[:1]
        assert values.shape == wanted.shape
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-4, err_msg=name)
    # and in ours, one image after another
    for found, wanted in zip(OnnxNetwork(path, device="cpu")(images), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert "options" not in metadata
    assert ExportedFile.from_metadata(metadata, path) == ExportedFile(network.preset, "fp32", None)


def test_the_lowest_opset_follows_from_the_network():
    plain = small()
    deformable = small(backbone=ResNetSpec("bottleneck", (1, 1, 1, 1), 16, deformable_interval=1))
    assert (choose_opset(plain, None), choose_opset(deformable, None)) == (18, 19)
    assert choose_opset(deformable, 21) == 21
    with pytest.raises(
        ValueError, match=r"opset: expected 19 to 23 for yolact_demo, as DeformConv"
    ):
        choose_opset(deformable, 18)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("x.onnx", {"opset": 17}, "opset: expected 18 to 23, got 17"),
        (
            "x.pt2",
            {"format": "torch", "opset": 18},
            "opset: expected none with format 'torch', got",
        ),
        (
            "x.onnx",
            {"raw": True, "options": SegmenterOptions(0.3)},
            "raw: expected no options of decoded outputs",
        ),
        ("x.onnx", {"format": "tflite"}, "format: expected one of onnx, torch, got 'tflite'"),
        ("x.pt2", {}, r"out: expected a name that ends in \.onnx, got .*x\.pt2"),
        ("no/x.onnx", {}, "out: expected a folder at .*no, found none"),
        ("x.onnx", {"precision": "bf16"}, "precision: expected one of fp32, fp16, got 'bf16'"),
        (
            "x.onnx",
            {"options": SegmenterOptions(nms="exact")},
            "nms: expected one of fast, cross_class in an exported file, got 'exact'",
        ),
        (
            "x.onnx",
            {"options": SegmenterOptions(classes=("teapot",))},
            "classes: expected names among ball, .*, got teapot",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(tmp_path, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        export_network(small(), tmp_path / name, **arguments)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file_to_write(tmp_path):
    (tmp_path / "x.onnx").mkdir()
    with pytest.raises(ValueError, match=r"out: expected a file name, got the folder .*x\.onnx"):
        export_network(small(), tmp_path / "x.onnx")


@pytest.fixture
def written_before(full_precision, monkeypatch):
    """The file of `small()` is not made anew."""
    file, _ = full_precision
    monkeypatch.setattr(
        export, "write_onnx", lambda module, images, path, opset: shutil.copy(file, path)
    )


@pytest.mark.usefixtures("written_before")
def test_a_file_that_differs_never_gets_its_name(tmp_path, monkeypatch):
    monkeypatch.setitem(export.BOUNDS, "fp32", 0.0)
    with pytest.raises(ValueError, match=r"export: expected outputs within 0.0 of torch's, got"):
        export_network(small(), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_package_that_is_missing_to_write_is_named(tmp_path, monkeypatch, package):
    assert_named(package, tmp_path, monkeypatch)


@pytest.mark.usefixtures("written_before")
def test_a_package_that_is_missing_to_compare_is_named(tmp_path, monkeypatch):
    assert_named("onnxruntime", tmp_path, monkeypatch)


def assert_named(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=f"expected the package.* got: .*{package}"):
        export_network(small(), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_the_documentation_names_everything(exported):
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    for preset in ("yolact_demo", "small_plus"):
        model = onnx.load(exported(preset).path, load_external_data=False)
        names = {value.name for value in (*model.graph.input, *model.graph.output)}
        names |= {entry.key for entry in model.metadata_props}
        missing = [name for name in names if f"`{name}`" not in text]
        assert not missing
