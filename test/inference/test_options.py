# SPDX-License-Identifier: Apache-2.0
"""Ways of running that change the speed, and neither the results nor the memory."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from yolact_ros.inference import Segmenter
from yolact_ros.inference.engines.compilation import resolve_compile
from yolact_ros.inference.gpu.path import FixedPath
from yolact_ros.presets import get_preset
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


@pytest.mark.parametrize("path", ["plain", "fixed"])
def test_memory_stays_flat_over_many_frames(path):
    segmenter = Segmenter(network=tiny_network(), device="cpu", max_instances=20)
    if path == "fixed":
        segmenter._fixed_path = FixedPath(
            segmenter._network, segmenter._preprocessor, CPU, capture=None
        )
    sizes = [(48, 64), (30, 90), (64, 64)]

    def serve(frames):
        for number in range(frames):
            segmenter(noise(*sizes[number % 3], seed=number % 7))

    serve(60)
    before = resident_without_files()
    serve(300)
    # A frame's own arrays, kept, would be 300 times some 100 KB.
    assert resident_without_files() - before < 12 << 20


def test_memory_stays_flat_when_every_frame_has_another_size():
    segmenter = Segmenter(network=tiny_network(), device="cpu", max_instances=20)
    for width in range(20, 220):
        segmenter(noise(40, width))
    assert len(segmenter._preprocessor._resizes) <= 16


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
        (False, "cpu", torch.float32, False),
        (True, "cpu", torch.float32, True),
        (True, "cuda", torch.float16, True),
        ("off", "cpu", torch.float32, False),
        ("on", "cuda", torch.float16, True),
        ("auto", "cuda", torch.float16, False),
        ("auto", "cpu", torch.bfloat16, False),
        ("auto", "cpu", torch.float32, True),
    ],
)
def test_what_is_compiled(value, device, dtype, expected, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: "/compiler" if name == "g++" else None)
    assert resolve_compile(value, torch.device(device), dtype) is expected


def test_auto_needs_a_compiler_and_other_words_are_refused(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not resolve_compile("auto", CPU, torch.float32)
    with pytest.raises(
        ValueError, match="compile: expected a bool or one of off, on, auto, got 'fast'"
    ):
        Segmenter(network=tiny_network(), device="cpu", compile="fast")
    assert not Segmenter(network=tiny_network(), device="cpu", compile="auto").compiled
