# SPDX-License-Identifier: Apache-2.0
"""The path for GPUs, on the CPU: the same instances, whatever is captured or fails to be."""

import dataclasses
import functools
import logging
import time

import numpy as np
import pytest
import torch

from yolact_ros.inference import Segmenter
from yolact_ros.inference.gpu.graph import CudaGraph
from yolact_ros.inference.gpu.path import GpuPath
from yolact_ros.ops.masks import assemble_masks
from yolact_ros.ops.masks.torch import TorchSteps, assemble_on_device
from yolact_ros.presets import get_preset
from yolact_testing.networks import random_network
from yolact_testing.pictures import noise as fine_noise


class Replay:
    """Does on a CPU what a CUDA graph does: reads and writes the same memory in every call."""

    def __init__(self, function):
        self._function = function
        self._output = function()
        self.calls = 0

    def __call__(self):
        self.calls += 1
        for place, value in zip(self._output, self._function(), strict=True):
            place.copy_(value)
        return self._output


class Recorder:
    def __init__(self):
        self.captured = []

    def __call__(self, function):
        self.captured.append(Replay(function))
        return self.captured[-1]


@pytest.fixture(scope="module")
def network():
    preset = dataclasses.replace(get_preset("yolact_demo"), mask_iou=True, input_size=96)
    network = random_network(preset, eager=2)
    with torch.no_grad():
        network.maskiou_net.maskiou_net[10].bias.uniform_(0.3, 0.9)
    return network


def segmenters(network, capture, *, assemble=assemble_masks, **options):
    """One with the plain path, one with that of a GPU."""
    plain = Segmenter(network=network, device="cpu", precision="fp32", **options)
    make_path = functools.partial(GpuPath, capture=capture, assemble=assemble)
    gpu = Segmenter(network=network, device="cpu", precision="fp32", make_path=make_path, **options)
    return plain, gpu


def noise(height, width, seed=0):
    return fine_noise(height, width, seed, block=8)


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.image_size == other.image_size
        assert one.class_names == other.class_names
        np.testing.assert_array_equal(one.class_ids, other.class_ids)
        np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=1e-6)
        np.testing.assert_allclose(one.boxes, other.boxes, rtol=0, atol=1e-3)
        assert (one.mask_scores is None) == (other.mask_scores is None)
        if one.mask_scores is not None:
            np.testing.assert_allclose(one.mask_scores, other.mask_scores, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(one.masks, other.masks)


@pytest.mark.parametrize("rescoring", ["published", "product", "class"])
@pytest.mark.parametrize("nms", ["fast", "cross_class", "exact"])
def test_it_finds_what_the_plain_path_finds(network, nms, rescoring):
    recorder = Recorder()
    plain, gpu = segmenters(network, recorder, nms=nms, rescoring=rescoring, max_instances=30)
    for seed in range(4):
        image = noise(90, 120, seed)
        expected = plain(image)
        assert_equal(gpu(image), expected)
        assert len(expected[0]) > 3
        assert (expected[0].mask_scores is None) == (rescoring == "class")
    # The exact one has no fixed shapes and takes the plain path.
    assert [replay.calls for replay in recorder.captured] == ([] if nms == "exact" else [2])


@pytest.mark.slow
def test_options_change_without_another_graph_unless_shapes_do(network):
    recorder = Recorder()
    plain, gpu = segmenters(network, recorder, max_instances=200)
    gpu.warm_up((64, 80))
    image = noise(64, 80)
    middle = float(np.median(plain(image)[0].scores))
    counts = set()
    for changes in (
        {"score_threshold": middle},
        {"score_threshold": 0.15, "nms_iou": 0.9},
        {"classes": ("mug", "ball")},
        {"score_threshold": 1.0},
    ):
        for segmenter in (plain, gpu):
            segmenter.options = dataclasses.replace(segmenter.options, **changes)
        expected = plain(image)
        assert_equal(gpu(image), expected)
        counts.add(len(expected[0]))
    assert len(counts) > 2
    assert len(recorder.captured) == 1
    for segmenter in (plain, gpu):
        segmenter.options = dataclasses.replace(
            segmenter.options, max_instances=2, score_threshold=0.15
        )
    for _ in range(3):
        assert_equal(gpu(image), plain(image))
    assert len(recorder.captured) == 2


@pytest.mark.slow
def test_a_graph_is_made_for_each_batch_and_channel_order(network):
    recorder = Recorder()
    plain, gpu = segmenters(network, recorder)
    images = [noise(40, 50, 1), noise(70, 30, 2)]
    for _ in range(3):
        assert_equal(gpu(images), plain(images))
        assert_equal(gpu(images[::-1]), plain(images[::-1]))
        assert_equal(gpu(images[0]), plain(images[0]))
        assert_equal(gpu(images[0], channel_order="rgb"), plain(images[0], channel_order="rgb"))
    assert len(recorder.captured) == 4
    assert_equal(
        gpu([noise(40, 50, 5), noise(70, 30, 6)]), plain([noise(40, 50, 5), noise(70, 30, 6)])
    )
    assert len(recorder.captured) == 4


@pytest.mark.slow
def test_channel_orders_of_a_batch_are_those_of_its_images(network):
    recorder = Recorder()
    plain, gpu = segmenters(network, recorder)
    images = [noise(40, 50, 1), noise(40, 50, 2)]
    expected = plain(images, channel_order="rgb")
    turned = [images[0][:, :, ::-1], images[1]]
    for _ in range(4):
        assert_equal(gpu(turned, channel_order=["bgr", "rgb"]), expected)
        assert_equal(gpu(images, channel_order=("rgb", "rgb")), expected)
        assert_equal(gpu(images, channel_order="rgb"), expected)
    assert len(recorder.captured) == 2  # one order of all is the same as one an image


def test_warming_up_captures_at_once(network):
    recorder = Recorder()
    _, gpu = segmenters(network, recorder)
    gpu.warm_up((48, 64), batch=2, channel_order="rgb")
    assert len(recorder.captured) == 1
    gpu([noise(48, 64)] * 2, channel_order="rgb")
    assert recorder.captured[0].calls == 2
    assert len(recorder.captured) == 1


@pytest.mark.slow
def test_sizes_seen_once_are_not_captured_and_only_the_last_are_kept(network):
    recorder = Recorder()
    _, gpu = segmenters(network, recorder)
    for width in range(40, 60):
        gpu(noise(40, width))
    assert recorder.captured == []
    for width in (44, 43):  # the sixteenth last, and the one before, which is forgotten
        for _ in range(2):
            gpu(noise(40, width))
        assert len(recorder.captured) == 1


def test_a_capture_that_fails_is_logged_once_and_nothing_stops(network, caplog):
    def fail(function):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    plain, gpu = segmenters(network, fail)
    with caplog.at_level(logging.WARNING, logger="yolact_ros"):
        gpu.warm_up((40, 50))
        gpu.warm_up((50, 50))
        assert_equal(gpu(noise(40, 50)), plain(noise(40, 50)))
    assert [record.getMessage() for record in caplog.records] == [
        "CUDA graph not captured, every kernel is started alone: "
        "operation not permitted when stream is capturing"
    ]


@pytest.mark.slow
def test_masks_without_room_are_made_again_and_get_more(network):
    calls = []

    def assemble(*arguments, capacity=None):
        packed = assemble_on_device(*arguments, TorchSteps(), capacity=capacity)
        calls.append((capacity, packed.bits.numel()))
        return packed

    plain, gpu = segmenters(network, None, assemble=assemble, max_instances=60)
    image = noise(240, 320)
    [expected] = plain(image)
    for _ in range(2):
        [found] = gpu(image)
        assert found.class_ids.tolist() == expected.class_ids.tolist()
        # The sigmoid is rounded in another way than on the plain path.
        assert (found.masks != expected.masks).mean() < 1e-4
        assert all(overlaps(expected, found))
    (first, _), (again, needed), (second, _) = calls
    assert (first, again) == (1 << 16, None) and needed > first
    assert second == max(2 * first, int(1.5 * needed))


def test_unused_places_cost_no_mask(network):
    boxes = []

    def assemble(*arguments, capacity=None):
        boxes.append(arguments[2])
        return assemble_masks(*arguments, capacity=capacity)

    plain, gpu = segmenters(network, None, assemble=assemble, max_instances=60)
    image = noise(64, 80)
    threshold = float(np.median(plain(image)[0].scores))
    gpu.options = dataclasses.replace(gpu.options, score_threshold=threshold)
    [found] = gpu(image)
    assert 0 < len(found) < 40 and boxes[0].shape == (60, 4)
    # A box that is not a number takes no room, see `assemble_masks`.
    assert boxes[0].isnan().all(dim=1).tolist() == [False] * len(found) + [True] * (60 - len(found))


def test_every_stage_is_timed(network, monkeypatch):
    now = 100.0

    def take(seconds):
        nonlocal now
        now += seconds

    def assemble(*arguments, **capacity):
        take(0.07)
        return assemble_masks(*arguments, **capacity)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    with network.register_forward_hook(lambda *call: take(0.05)):
        plain, gpu = segmenters(network, None, assemble=assemble)
    expected = {"upload": 0, "preprocess": 0, "network": 50, "decode": 0, "masks": 70}
    for _ in range(2):
        gpu(noise(40, 50))
        assert list(gpu.timings) == [*expected, "download"]
        assert gpu.timings == pytest.approx({**expected, "download": 0}, abs=1e-6)
    plain(noise(40, 50))
    assert list(plain.timings) == ["preprocess", "network", "decode", "masks"]
    assert plain.timings["network"] == pytest.approx(50)


def test_results_stay_when_the_next_frame_overwrites_the_buffers(network):
    recorder = Recorder()
    plain, gpu = segmenters(network, recorder)
    gpu.warm_up((64, 80))
    first = gpu(noise(64, 80, 1))
    second = gpu(noise(64, 80, 2))
    assert_equal(first, plain(noise(64, 80, 1)))
    assert_equal(second, plain(noise(64, 80, 2)))


def overlaps(expected, found):
    """For each expected instance the best IoU with one found in its class; 0 without one."""
    return [
        max(
            (
                (one & other).sum() / max((one | other).sum(), 1)
                for other, label in zip(found.masks, found.class_ids, strict=True)
                if label == wanted
            ),
            default=0.0,
        )
        for one, wanted in zip(expected.masks, expected.class_ids, strict=True)
        if one.any()
    ]


def test_overlaps_show_what_was_missed(network):
    plain, _ = segmenters(network, None, max_instances=30)
    [every] = plain(noise(90, 120))
    assert len(overlaps(every, every)) > 20 and min(overlaps(every, every)) == 1
    plain.options = dataclasses.replace(plain.options, classes=every.class_names[:1])
    [of_one_class] = plain(noise(90, 120))
    assert min(overlaps(every, of_one_class)) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("precision", "least_iou"), [("fp32", 0.995), ("fp16", 0.98)])
@pytest.mark.parametrize("graphs", [False, True])
def test_a_gpu_finds_what_the_cpu_finds(network, precision, least_iou, graphs):
    plain = Segmenter(network=network, device="cpu", precision="fp32", max_instances=30)
    captured = []

    def capture(step):
        captured.append(CudaGraph(step, torch.device("cuda"), torch.cuda.graph_pool_handle()))
        return captured[-1]

    make_path = functools.partial(GpuPath, capture=capture if graphs else None)
    gpu = Segmenter(
        network=network, device="cuda", precision=precision, max_instances=30, make_path=make_path
    )
    gpu.warm_up((90, 120))
    assert len(captured) == graphs
    for seed in range(3):
        [expected], [found] = plain(noise(90, 120, seed)), gpu(noise(90, 120, seed))
        assert len(found) == len(expected)
        best = overlaps(expected, found)
        assert min(best[:5]) >= least_iou
        # Of equally good ones the last may fall to others: arithmetic differs.
        assert np.mean(np.array(best) >= least_iou) > 0.8
    assert set(gpu.timings) >= {"upload", "network", "masks", "download"}
