# SPDX-License-Identifier: Apache-2.0
"""Ways of running that change the speed, and neither the results nor the memory."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import torch

from yolact_ros.checkpoints import CheckpointError, save_checkpoint
from yolact_ros.errors import InputError
from yolact_ros.inference import Segmenter
from yolact_ros.inference.engines import prepare
from yolact_ros.inference.engines.compilation import resolve_compile
from yolact_ros.inference.gpu.path import GpuPath
from yolact_ros.inference.loading import load_network
from yolact_ros.inference.path import PlainPath
from yolact_ros.presets import get_preset
from yolact_testing.masks import OfWhatIsUsed
from yolact_testing.networks import random_network
from yolact_testing.pictures import noise

CPU = torch.device("cpu")


def tiny_network():
    return random_network(dataclasses.replace(get_preset("yolact_demo"), input_size=64), eager=2)


def resident_without_files():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    pytest.skip("this system does not say how much memory a process has")


@pytest.mark.slow
@pytest.mark.parametrize(
    "make_path",
    [PlainPath, functools.partial(GpuPath, mask_steps=OfWhatIsUsed())],
    ids=["PlainPath", "GpuPath"],
)
def test_memory_stays_flat_over_many_frames(make_path):
    segmenter = Segmenter(
        network=tiny_network(), device="cpu", max_instances=20, make_path=make_path
    )
    sizes = [(48, 64), (30, 90), (64, 64)]

    def serve(frames):
        for number in range(frames):
            segmenter(noise(*sizes[number % 3], seed=number % 7))

    serve(60)
    before = resident_without_files()
    serve(210)
    # A frame's own arrays, kept, would be 210 times some 100 KB.
    assert resident_without_files() - before < 12 << 20


@pytest.mark.slow
def test_memory_stays_flat_when_every_frame_has_another_size():
    segmenter = Segmenter(network=tiny_network(), device="cpu", max_instances=20)
    for width in range(20, 60):
        segmenter(noise(40, width))
    assert segmenter._preprocessor._resize.cache_info().currsize <= 16


def test_a_network_at_hand_is_left_as_it_is():
    network = tiny_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    segmenter = Segmenter(network=network, device="cpu", precision="bf16")
    expected = segmenter(noise(48, 64))
    assert network.training
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with torch.no_grad():
        network.proto_net[0].weight.zero_()
    np.testing.assert_array_equal(segmenter(noise(48, 64))[0].scores, expected[0].scores)


@pytest.mark.parametrize(
    ("value", "device", "dtype", "expected"),
    [
        ("off", "cpu", torch.float32, False),
        ("on", "cpu", torch.float32, True),
        ("on", "cuda", torch.float16, True),
        ("auto", "cuda", torch.float16, False),
        ("auto", "cpu", torch.bfloat16, False),
        ("auto", "cpu", torch.float32, True),
    ],
)
def test_what_is_compiled(value, device, dtype, expected, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: "/compiler" if name == "g++" else None)
    assert resolve_compile(value, torch.device(device), dtype) is expected


def test_auto_needs_a_compiler(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not resolve_compile("auto", CPU, torch.float32)
    assert not Segmenter(network=tiny_network(), device="cpu", compile="auto").compiled


@pytest.fixture
def loaded(monkeypatch):
    """The arguments of each loading of weights."""
    calls = []

    def load(*arguments):
        calls.append(arguments)
        return load_network(*arguments)

    monkeypatch.setattr(prepare, "load_network", load)
    monkeypatch.setattr(prepare, "OnnxNetwork", lambda *arguments, **rest: calls.append(arguments))
    return calls


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("engine", "tensorrt", "one of auto, torch, onnxruntime, openvino, got 'tensorrt'"),
        ("device", "tpu", "auto, cpu, cuda or cuda:N, got 'tpu'"),
        ("precision", "int8", "one of auto, fp32, tf32, fp16, bf16, got 'int8'"),
        ("resize", "crop", "one of square, fit, got 'crop'"),
        ("compile", "fast", "one of off, on, auto, got 'fast'"),
        ("compile", True, "one of off, on, auto, got True"),
        ("nms", "soft", "one of fast, cross_class, exact, got 'soft'"),
        ("nms_iou", 2.0, "0 to 1, got 2.0"),
        ("rescoring", "best", "one of published, product, class, got 'best'"),
        ("score_threshold", -1.0, "0 to 1, got -1.0"),
        ("max_instances", 0, "1 or more, got 0"),
    ],
)
def test_a_wrong_value_is_refused_before_weights_are_loaded(loaded, name, value, message):
    with pytest.raises(InputError, match=f"^{name}: expected {message}$"):
        Segmenter(**{"weights": "none.pth", "device": "cpu", name: value})
    assert loaded == []


@pytest.mark.parametrize(
    ("name", "value"), [("resize", "fit"), ("compile", "on"), ("resize", "x"), ("nms", "soft")]
)
def test_nor_is_an_exported_file_read(loaded, name, value):
    with pytest.raises(InputError, match=f"^{name}: expected"):
        Segmenter(**{"weights": "none.onnx", "engine": "onnxruntime", name: value})
    assert loaded == []


def test_weights_are_loaded_once(loaded, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(tiny_network(), path, {})
    Segmenter(weights=path, device="cpu", nms="exact", resize="fit", precision="fp32")
    assert len(loaded) == 1
    with pytest.raises(CheckpointError, match=r"none at none\.pth"):
        Segmenter(weights="none.pth", device="cpu")
    assert len(loaded) == 2
