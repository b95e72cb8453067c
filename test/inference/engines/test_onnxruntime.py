# SPDX-License-Identifier: Apache-2.0
"""Segmenter with ONNX Runtime behind it."""

import dataclasses
import gc
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from yolact_ros.checkpoints import CheckpointError, save_checkpoint
from yolact_ros.inference import Segmenter
from yolact_ros.inference.engines.onnxruntime import OnnxNetwork, _providers, _resolve_device
from yolact_ros.inference.gpu.path import GpuPath
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.scenes.scene import Scene
from yolact_testing.comparing import assert_close_instances

pytestmark = pytest.mark.slow  # exports networks, and runs them in ONNX Runtime

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

GOLDEN = Path(__file__).parents[2] / "golden"
PRESETS = ["yolact_demo", "small_plus"]
PUBLISHED = "yolact_plus_resnet50"


def pictures(preset):
    sizes = [(640, 480), (320, 240), (500, 700)] if preset == "yolact_demo" else [(160, 120)] * 2
    return [
        Scene.random(2_100_000 + seed, width=width, height=height).frame(0.0).image[..., ::-1]
        for seed, (width, height) in enumerate(sizes)
    ]


@pytest.fixture(scope="module")
def both(exported):
    made = {}

    def build(preset):
        if preset not in made:
            network, path = exported(preset)
            made[preset] = (
                Segmenter(network=network, device="cpu", precision="fp32"),
                Segmenter(weights=path, engine="onnxruntime", device="cpu"),
            )
        return made[preset]

    yield build
    made.clear()
    gc.collect()  # hundreds of megabytes, among them the graphs of exports


@pytest.mark.parametrize("preset", PRESETS)
def test_instances_are_those_of_torch(both, preset):
    torch_one, onnx_one = both(preset)
    assert onnx_one.engine == "onnxruntime" and torch_one.engine == "torch"
    assert onnx_one.preset == torch_one.preset and onnx_one.precision == "fp32"
    images = pictures(preset)
    batches = [images]
    if preset == "yolact_demo":
        batches += [[images[0]], [images[1], images[0], images[1]]]
    for batch in batches:
        for found, expected in zip(onnx_one(batch), torch_one(batch), strict=True):
            assert_close_instances(found, expected, least=3)
    assert set(onnx_one.timings) == {"preprocess", "network", "decode", "masks"}
    assert onnx_one([]) == []


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("yolact_demo", {"score_threshold": 0.05, "max_instances": 9}),
        ("yolact_demo", {"nms": "exact", "nms_iou": 0.3}),
        ("yolact_demo", {"classes": ("mug", "can"), "nms": "cross_class"}),
        # which has masks to rescore by
        ("small_plus", {"nms": "cross_class", "rescoring": "product"}),
        ("small_plus", {"classes": DEMO_CLASSES[3:], "rescoring": "class"}),
    ],
)
def test_options_change_between_calls(both, preset, changes):
    image = pictures(preset)[0]
    segmenters = both(preset)
    before = segmenters[0].options
    try:
        for segmenter in segmenters:
            segmenter.options = dataclasses.replace(before, **changes)
        [[expected], [found]] = [segmenter(image) for segmenter in segmenters]
    finally:
        for segmenter in segmenters:
            segmenter.options = before
    assert_close_instances(found, expected)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_path_for_gpus_takes_it(exported, both, preset):
    torch_one, _ = both(preset)
    onnx_one = Segmenter(
        weights=exported(preset).path, engine="onnxruntime", device="cpu", make_path=GpuPath
    )
    images = pictures(preset)
    for one, other in zip(onnx_one(images), torch_one(images), strict=True):
        assert_close_instances(one, other, least=3)


def test_outputs_are_the_published_ones(exported, shared_golden):
    segmenter = Segmenter(weights=exported(PUBLISHED).path, engine="onnxruntime", device="cpu")
    [found] = segmenter(runpy.run_path(str(GOLDEN / "fill_weights.py"))["make_image"](0))
    with np.load(shared_golden / f"{PUBLISHED}.npz") as golden:
        assert found.class_ids.tolist() == golden["img0_post_class"].tolist()
        np.testing.assert_allclose(found.scores, golden["img0_post_score_box"], rtol=0, atol=1e-3)
        corners = found.boxes.astype(int)
        assert np.abs(corners - golden["img0_post_box"].clip(0)).max() <= 1
        expected = golden["img0_post_maskiou"]
        np.testing.assert_allclose(found.mask_scores, expected, rtol=0, atol=2e-3)
        areas = np.array([mask.area for mask in found.packed_masks])
        expected = golden["img0_post_area"]
        assert (np.abs(areas - expected) <= np.maximum(8, 0.005 * expected)).all()


def test_priors_are_those_of_the_file(exported):
    path = exported("yolact_demo").path
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [priors] = session.run(["priors"], {"images": np.zeros((1, 3, 320, 320), np.float32)})
    raw = OnnxNetwork(path, device="cpu")(torch.zeros(1, 3, 320, 320))
    np.testing.assert_array_equal(priors, raw.priors)


def test_decoding_is_left_out(exported):
    """It would be computed in vain: Segmenter decodes by options that may change."""
    network = OnnxNetwork(exported("yolact_demo").path, device="cpu")
    first, last = (
        [output.name for output in part._session.get_outputs()]
        for part in (network._first, network._protonet)
    )
    assert first[:3] == ["offsets", "class_scores", "coefficients"]
    assert len(first) == 4 and last == ["prototypes"]


@pytest.mark.parametrize("preset", PRESETS)
def test_images_without_detections_have_no_prototypes_made(exported, both, monkeypatch, preset):
    torch_one, _ = both(preset)
    network = OnnxNetwork(exported(preset).path, device="cpu")
    calls, protonet = [], network._protonet
    monkeypatch.setattr(network, "_protonet", lambda x: calls.append(len(x)) or protonet(x))
    onnx_one = Segmenter(network=network)
    images = [pictures(preset)[0], np.zeros((48, 64, 3), np.uint8), pictures(preset)[1]]
    empty = [not len(found) for found in torch_one(images)]
    for one, other in zip(onnx_one(images), torch_one(images), strict=True):
        assert_close_instances(one, other, least=0)
    assert calls == [empty.count(False)]
    assert preset != "yolact_demo" or empty == [False, True, False]
    calls.clear()
    found = onnx_one(images, options=dataclasses.replace(onnx_one.options, score_threshold=1.0))
    assert [len(of_image) for of_image in found] == [0, 0, 0] and not calls


def test_it_takes_as_many_threads_as_torch(exported, monkeypatch):
    made = []

    class Options(onnxruntime.SessionOptions):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    OnnxNetwork(exported("yolact_demo").path, device="cpu")
    assert [options.intra_op_num_threads for options in made] == [3, 3]  # the protonet is one


def test_the_preset_and_the_names_are_checked(exported):
    path = exported("yolact_demo").path
    names = tuple("abcdefgh")
    assert OnnxNetwork(path, preset="yolact_demo", class_names=names).preset.class_names == names
    with pytest.raises(CheckpointError, match=r"was written for yolact_demo .*, got yolact_base"):
        OnnxNetwork(path, preset="yolact_base")
    with pytest.raises(CheckpointError, match=r"class_names: expected 8 names for .*, got 2"):
        OnnxNetwork(path, class_names=["a", "b"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"engine": "tensorrt"},
            "engine: expected one of auto, torch, onnxruntime, openvino, got 'tensorrt'",
        ),
        ({"engine": "torch"}, r"weights: .*\.onnx is an exported ONNX model, whose weights cannot"),
        ({"weights": None}, r"weights: expected an \.onnx file .*, got none"),
        ({"weights": "x.pth"}, r"weights: expected an \.onnx file, none at x\.pth"),
        ({"weights": "none.onnx"}, r"weights: expected an \.onnx file, none at none\.onnx"),
        ({"precision": "fp16"}, "precision: expected auto or fp32, which .*, got 'fp16'"),
        ({"precision": "fp8"}, "precision: expected one of auto, .*, got 'fp8'"),
        ({"resize": "fit"}, "resize: expected square, as an exported file takes one size"),
        ({"compile": "on"}, "compile: expected off or auto with another engine than torch"),
        ({"compile": "fast"}, "compile: expected one of off, on, auto, got 'fast'"),
        ({"device": "cuda:99"}, "device: expected one that this machine has"),
    ],
)
def test_what_does_not_go_together_is_refused(exported, arguments, message):
    arguments = {"weights": exported("yolact_demo").path, "engine": "onnxruntime", **arguments}
    with pytest.raises(ValueError, match=message):
        Segmenter(**arguments)


def test_a_network_at_hand_has_its_own_engine(exported):
    network, path = exported("yolact_demo")
    segmenter = Segmenter(network=OnnxNetwork(path, device="cpu"))
    assert segmenter.engine == "onnxruntime" and segmenter.providers == ("CPUExecutionProvider",)
    with pytest.raises(ValueError, match="engine: expected torch for a Yolact"):
        Segmenter(network=network, engine="onnxruntime")
    with pytest.raises(ValueError, match="network: expected neither preset, weights nor"):
        Segmenter(network=network, weights=path, engine="onnxruntime")


def test_files_of_others_are_refused(exported, tmp_path):
    def load(path):
        return Segmenter(weights=path, engine="onnxruntime", device="cpu")

    path = exported("yolact_demo").path
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"weights: cannot read .*broken\.onnx as ONNX"):
        load(broken)
    model = onnx.load(path)
    model.ir_version = 99
    onnx.save(model, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"^weights: onnxruntime \S+ cannot load the file \("):
        load(tmp_path / "x.pth")
    model.ir_version = 8
    tensor = next(t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    before = tensor.raw_data
    tensor.raw_data = np.full(len(before) // 4, np.nan, np.float32).tobytes()
    onnx.save(model, tmp_path / "changed.onnx")
    tensor.raw_data = before
    with pytest.raises(CheckpointError, match="1 with values that are not finite: "):
        load(tmp_path / "changed.onnx")
    entries = {entry.key: entry for entry in model.metadata_props}
    for key, value, message in [
        ("options", "[]", "metadata cannot be read"),
        ("preset_definition", "{}", "metadata cannot be read: preset: missing fields"),
        ("precision", "int4", "metadata cannot be read: precision: expected one of fp32, fp16"),
        ("yolact_ros_export", "99", "expected export format 1, got 99: another version"),
    ]:
        before, entries[key].value = entries[key].value, value
        onnx.save(model, tmp_path / "changed.onnx")
        entries[key].value = before
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path / "changed.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(CheckpointError, match=r"got .*foreign\.onnx, which another program wrote"):
        load(tmp_path / "foreign.onnx")


def test_exported_files_are_no_weights_for_torch(exported, tmp_path):
    network, path = exported("yolact_demo")
    with pytest.raises(ValueError, match="runs with engine 'onnxruntime'"):
        Segmenter(weights=path, engine="torch")
    save_checkpoint(network, tmp_path / "x.safetensors", {})
    with pytest.raises(
        ValueError, match=r"expected an \.onnx file; .* is a file of weights, which"
    ):
        Segmenter(weights=tmp_path / "x.safetensors", engine="onnxruntime")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(exported, monkeypatch, package):
    path = exported("yolact_demo").path
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    message = "engine: expected the packages onnxruntime and onnx for 'onnxruntime'"
    with pytest.raises(ValueError, match=message):
        Segmenter(weights=path, engine="onnxruntime")


class Runtime:
    """ONNX Runtime as it says which providers it was built with."""

    def __init__(self, *present):
        self.get_available_providers = lambda: list(present)


def test_providers_are_those_of_the_device_that_are_there(monkeypatch):
    cpu, cuda, tensorrt = (
        "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider",
    )  # fmt: skip
    everything = Runtime(tensorrt, cuda, cpu)
    how = ({"trt_profile_min_shapes": "images:1x3x8x8"}, "fp16")
    assert _providers(everything, torch.device("cpu"), *how) == [cpu]
    first, second, third = _providers(everything, torch.device("cuda:1"), *how)
    assert first[1]["trt_fp16_enable"] is True and second[1]["use_tf32"] == 0
    assert first[1]["trt_profile_min_shapes"] == "images:1x3x8x8"
    assert (first[0], second[0], third) == (tensorrt, cuda, cpu)
    assert first[1]["device_id"] == second[1]["device_id"] == 1
    assert [p[0] for p in _providers(Runtime(cuda, cpu), torch.device("cuda:0"), *how)[:-1]] == [
        cuda
    ]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert _resolve_device("auto", everything) == torch.device("cuda:1")
    assert _resolve_device("auto", Runtime(cpu)) == torch.device("cpu")
    assert _resolve_device("cpu", everything) == torch.device("cpu")
    message = "device: expected one that ONNX Runtime has a provider for, got 'cuda:1' with CPU"
    with pytest.raises(ValueError, match=message):
        _resolve_device("cuda:1", Runtime(cpu))


@pytest.mark.skipif(
    not torch.cuda.is_available()
    or "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="needs a CUDA device and ONNX Runtime for it",
)
@pytest.mark.parametrize("preset", PRESETS)
def test_instances_on_cuda(exported, preset, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    network, path = exported(preset)
    expected = Segmenter(network=network, device="cuda", precision="fp32")
    segmenter = Segmenter(weights=path, engine="onnxruntime", device="cuda")
    images = pictures(preset)
    for found, other in zip(segmenter(images), expected(images), strict=True):
        assert found.class_ids.tolist() == other.class_ids.tolist()
        np.testing.assert_allclose(found.scores, other.scores, atol=1e-3)
