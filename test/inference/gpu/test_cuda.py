# SPDX-License-Identifier: Apache-2.0
"""What only a GPU can show. Without one, test_graph, test_path and test_fake_cuda stand for it."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from yolact_ros.inference import Segmenter
from yolact_ros.presets import get_preset
from yolact_testing.networks import random_network
from yolact_testing.pictures import noise as fine_noise

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
NETWORKS = ("yolact_demo", "yolact_plus_resnet50", "yolact_darknet53")


def noise(height, width, seed=0):
    return fine_noise(height, width, seed, block=8)


def with_mask_iou():
    preset = dataclasses.replace(get_preset("yolact_demo"), mask_iou=True, input_size=96)
    return random_network(preset, eager=2)


def of(name):
    """A small network of a kind; weights drawn at random, so that it sees something everywhere."""
    if name == "mask_iou":
        return with_mask_iou()
    small = dataclasses.replace(get_preset(name), input_size=160)
    return random_network(small, eager=2)


def share_found(expected, found, score=0.02, pixels=2.0):
    """Share of the expected instances that were found: class, score and box."""
    hits = [
        (
            (found.class_ids == class_id)
            & (abs(found.scores - own_score) < score)
            & np.isclose(found.boxes, box, rtol=0, atol=pixels, equal_nan=True).all(axis=1)
        ).any()
        for box, own_score, class_id in zip(
            expected.boxes, expected.scores, expected.class_ids, strict=True
        )
    ]
    return np.mean(hits)


def assert_same(found, expected, share=0.98):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert len(other) > 5
        assert share_found(other, one) >= share


@pytest.mark.parametrize("name", [*NETWORKS, "mask_iou"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_replays_are_what_the_kernels_give_on_changing_frames(name, precision):
    how = dict(network=of(name), device="cuda", precision=precision, max_instances=30)
    eager, graph = Segmenter(cuda_graphs=False, **how), Segmenter(**how)
    graph.warm_up()
    graph.warm_up(batch=3)
    assert all(plan.run is not plan.step for plan in graph._path._plans.values())
    for seed in range(4):
        one, three = noise(90, 120, seed), [noise(120 + 9 * i, 90, seed + i) for i in range(3)]
        for images in (one, three):
            assert_same(graph(images, "rgb"), eager(images, "rgb"))
            for found, expected in zip(graph(images), eager(images), strict=True):
                same = [
                    np.array_equal(found.masks[i], expected.masks[i])
                    for i in range(min(len(found), len(expected)))
                ]
                assert np.mean(same) > 0.9


@pytest.mark.parametrize("name", ["yolact_demo", "yolact_plus_resnet50", "mask_iou"])
@pytest.mark.parametrize("nms", ["fast", "cross_class", "exact"])
def test_a_gpu_finds_what_the_cpu_finds(name, nms):
    how = dict(network=of(name), precision="fp32", max_instances=30, nms=nms)
    cpu, gpu = Segmenter(device="cpu", **how), Segmenter(device="cuda", **how)
    for seed in range(2):
        images = [noise(90, 120, seed), noise(200, 60, seed)]
        expected, found = cpu(images), gpu(images)
        assert_same(found, expected, share=0.9)
        for one, other in zip(found, expected, strict=True):
            best = [
                max(
                    (a & b).sum() / max((a | b).sum(), 1)
                    for b, own in zip(one.masks, one.class_ids, strict=True)
                    if own == class_id
                )
                for a, class_id in zip(other.masks, other.class_ids, strict=True)
                if a.any() and class_id in one.class_ids
            ]
            assert np.median(best) > 0.995


def test_fp32_is_not_tf32():
    network = of("yolact_resnet50")
    x = torch.randn(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    expected = network.eval()(x).coefficients.detach()
    errors = {}
    for precision in ("fp32", "tf32"):
        segmenter = Segmenter(network=network, device="cuda", precision=precision)
        with torch.inference_mode():
            found = segmenter._path._network(x.cuda()).coefficients.cpu()
        errors[precision] = float((found - expected).abs().max())
    assert errors["fp32"] < 1e-3
    assert torch.cuda.get_device_capability()[0] < 8 or errors["tf32"] > 3 * errors["fp32"]


def test_masks_without_room_and_the_next_frame(monkeypatch):
    how = dict(network=of("yolact_demo"), precision="fp32", max_instances=100)
    cpu = Segmenter(device="cpu", **how)
    monkeypatch.setattr("yolact_ros.inference.gpu.step.MASK_ROOM", 1 << 12)
    gpu = Segmenter(device="cuda", **how)
    for seed in range(6):
        [expected], [found] = cpu(noise(240, 320, seed)), gpu(noise(240, 320, seed))
        assert share_found(expected, found) > 0.9
        areas = [mask.to_array().sum() for mask in found.packed_masks]
        wanted = [mask.to_array().sum() for mask in expected.packed_masks]
        assert abs(np.sum(areas) / np.sum(wanted) - 1) < 0.05
    [plan] = gpu._path._plans.values()
    assert plan.step.mask_room > 1 << 12


def test_a_second_gpu_after_the_first():
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    network = of("yolact_demo")
    expected = [Segmenter(network=network, device="cpu", precision="fp32")(noise(90, 120, seed))
                for seed in range(3)]  # fmt: skip
    for device in ("cuda:0", "cuda:1"):
        for nms in ("fast", "exact"):
            segmenter = Segmenter(network=network, device=device, precision="fp32", nms=nms)
            segmenter.warm_up()
            for seed in range(3):
                found = segmenter(noise(90, 120, seed))
                if nms == "fast":
                    assert_same(found, expected[seed], share=0.9)
                    [plan] = segmenter._path._plans.values()
                    assert plan.run is not plan.step


def test_every_stage_is_timed_within_a_graph():
    segmenter = Segmenter(network=of("yolact_demo"), device="cuda")
    segmenter.warm_up()
    segmenter(noise(240, 320))
    assert set(segmenter.timings) == {
        "upload", "preprocess", "network", "decode", "masks", "download"
    }  # fmt: skip
    assert all(milliseconds > 0 for milliseconds in segmenter.timings.values())


def test_it_works_without_a_compiler(tmp_path):
    code = (
        "import logging; logging.basicConfig(format='%(message)s')\n"
        "import numpy as np\n"
        "from yolact_ros.inference import Segmenter\n"
        "segmenter = Segmenter(preset='yolact_demo', device='cuda')\n"
        "segmenter.warm_up()\n"
        "print(len(segmenter(np.zeros((240, 320, 3), np.uint8))[0]))\n"
    )
    environment = {**os.environ, "PATH": str(tmp_path), "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("CC", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for what in ("masks", "resizing"):
        assert f"{what} on a GPU: torch's slower operations are used: " in done.stderr
    assert "install one, such as gcc" in done.stderr
