# SPDX-License-Identifier: Apache-2.0
import dataclasses
import logging
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.inference import Segmenter, SegmenterOptions, precision
from yolact_ros.inference.device import resolve_device
from yolact_ros.inference.precision import ConvolutionTimes, resolve_precision, time_convolution
from yolact_testing.comparing import assert_same
from yolact_testing.growth import kept
from yolact_testing.networks import random_weights
from yolact_testing.pictures import noise


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("weights"), eager=2)


@pytest.fixture(scope="module")
def segmenter(weights):
    return Segmenter(weights=weights, device="cpu", precision="fp32", max_instances=20)


def test_instances_are_sorted_within_the_image_and_limited(segmenter):
    [found] = segmenter(noise(90, 120))
    assert len(found) == 20
    assert found.image_size == (90, 120)
    assert (np.diff(found.scores) <= 0).all()
    assert (found.boxes[:, :2] <= found.boxes[:, 2:]).all()
    assert found.boxes.min() >= 0
    assert (found.boxes <= [120, 90, 120, 90]).all()
    assert found.class_names == tuple(segmenter.class_names[i] for i in found.class_ids)
    assert set(segmenter.timings) == {"preprocess", "network", "decode", "masks"}


def test_channel_order_is_that_of_the_array(segmenter):
    image = noise(64, 64)
    [bgr] = segmenter(image, channel_order="bgr")
    [rgb] = segmenter(image[:, :, ::-1], channel_order="rgb")
    assert_same(bgr, rgb)
    with pytest.raises(ValueError, match="channel_order: expected one of bgr, rgb, got 'RGB'"):
        segmenter(image, channel_order="RGB")


def test_each_image_of_a_batch_may_have_its_own_channel_order(segmenter):
    first, second = noise(40, 50, seed=1), noise(70, 30, seed=2)
    expected = segmenter([first, second], channel_order="rgb")
    found = segmenter([first[:, :, ::-1], second], channel_order=["bgr", "rgb"])
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    with pytest.raises(ValueError, match="channel_order: expected one or 2, got 3"):
        segmenter([first, second], channel_order=["rgb"] * 3)
    with pytest.raises(ValueError, match="channel_order: expected one of bgr, rgb, got 'xyz'"):
        segmenter([first, second], channel_order=["rgb", "xyz"])


def test_strided_and_read_only_images_are_taken(segmenter):
    image = noise(60, 80)
    [expected] = segmenter(image)
    padded = np.zeros((60, 100, 3), np.uint8)
    padded[:, :80] = image
    [strided] = segmenter(padded[:, :80])
    frozen = image.copy()
    frozen.flags.writeable = False
    [read_only] = segmenter(frozen)
    assert_same(strided, expected)
    assert_same(read_only, expected)


def test_a_batch_of_different_sizes_keeps_its_order(segmenter):
    images = [noise(40, 50, seed=1), noise(70, 30, seed=2)]
    batch = segmenter(images)
    assert [found.image_size for found in batch] == [(40, 50), (70, 30)]
    for found, image in zip(batch, images, strict=True):
        [alone] = segmenter(image)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)
    assert segmenter([]) == []


@pytest.mark.slow
@settings(deadline=None, max_examples=10)
@given(st.integers(1, 300), st.integers(1, 300))
def test_any_image_size(segmenter, height, width):
    [found] = segmenter(noise(height, width))
    assert found.masks.shape == (len(found), height, width)


def test_options_apply_to_the_next_call(segmenter):
    image = noise(64, 64)
    before = segmenter.options
    try:
        segmenter.options = dataclasses.replace(before, max_instances=3)
        assert len(segmenter(image)[0]) == 3
        segmenter.options = dataclasses.replace(before, classes=("mug", "ball"))
        assert set(segmenter(image)[0].class_names) <= {"mug", "ball"}
        segmenter.options = dataclasses.replace(before, score_threshold=1.0)
        assert len(segmenter(image)[0]) == 0
        with pytest.raises(ValueError, match=r"classes: expected names among ball, .*, got teapot"):
            segmenter.options = dataclasses.replace(before, classes=("teapot",))
        assert segmenter.options.score_threshold == 1.0
    finally:
        segmenter.options = before


@pytest.mark.parametrize("nms", ["fast", "cross_class", "exact"])
def test_every_kind_of_suppression_runs(segmenter, nms):
    before = segmenter.options
    try:
        segmenter.options = dataclasses.replace(before, nms=nms, score_threshold=0.1)
        [found] = segmenter(noise(64, 64))
        assert 1 <= len(found) <= 20
    finally:
        segmenter.options = before


@pytest.mark.slow
def test_bf16_sees_the_same_scene(weights, segmenter):
    image = noise(64, 64)
    half = Segmenter(weights=weights, device="cpu", precision="bf16", max_instances=20)
    [one], [other] = segmenter(image), half(image)
    assert half.precision == "bf16"
    np.testing.assert_allclose(one.scores, other.scores, atol=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score_threshold": -0.1}, "score_threshold: expected 0 to 1, got -0.1"),
        ({"score_threshold": float("nan")}, "score_threshold: expected 0 to 1, got nan"),
        ({"nms_iou": 1.5}, "nms_iou: expected 0 to 1, got 1.5"),
        ({"max_instances": 0}, "max_instances: expected 1 or more, got 0"),
        ({"nms": "soft"}, "nms: expected one of fast, cross_class, exact, got 'soft'"),
    ],
)
def test_options_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SegmenterOptions(**changes)


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cuda:", "", "cpu:0"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(ValueError, match="expected auto, cpu, cuda or cuda:N"):
        resolve_device(name)


def test_a_cuda_device_that_is_not_there_is_refused():
    name = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ValueError, match=r"expected one that this machine has \(cpu, \d+ CUDA"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("fp32", "bf16", "name", "dtype"),
    [
        (13.0, 10.0, "bf16", torch.bfloat16),
        (12.9, 10.0, "fp32", torch.float32),
        (13.5, 90.1, "fp32", torch.float32),
    ],
)
def test_bf16_is_taken_where_it_is_much_faster(monkeypatch, caplog, fp32, bf16, name, dtype):
    measured = ConvolutionTimes(fp32, bf16)
    monkeypatch.setattr(precision, "time_convolution", lambda: measured)
    with caplog.at_level(logging.INFO, logger="yolact_ros"):
        chosen = resolve_precision("auto", torch.device("cpu"))
    assert chosen == (name, dtype, str(measured))
    assert f"precision: {name}; measured: a convolution takes {fp32:.3g} ms in fp32" in caplog.text
    assert f"and {bf16:.3g} ms in bf16, {fp32 / bf16:.2f} times as fast" in caplog.text
    assert resolve_precision("fp32", torch.device("cpu")) == ("fp32", torch.float32, "")


class Processor:
    """Clocks that convolutions move, by milliseconds a row; some of them take far longer.

    Other work makes each wait for some milliseconds, which the thread does not compute.
    """

    def __init__(self, fp32, bf16, slow_calls=(), waits=0.0):
        self.row_ms = {torch.float32: fp32, torch.bfloat16: bf16}
        self.slow_calls = slow_calls
        self.now, self.waits, self.waited, self.rows = 100.0, waits, 0.0, []

    def conv2d(self, x, weight, padding):
        assert x.is_contiguous(memory_format=torch.channels_last)
        rows = x.shape[2]
        times = 10 if len(self.rows) % 12 in self.slow_calls else 1
        self.rows.append(rows)
        self.now += times * rows * self.row_ms[x.dtype] / 1000
        if x.dtype == torch.float32:
            self.waited += self.waits / 1000


@pytest.mark.parametrize(
    ("processor", "expected", "rows"),
    [
        (Processor(0.1, 0.05), (3.5, 1.75), [2] * 12 + [35] * 12),
        # the warm-up, and less than half of the rest
        (Processor(0.1, 0.05, (0, 1, 4, 6, 9, 11)), (3.5, 1.75), [2] * 12 + [35] * 12),
        # most of one kind and none of the other
        (Processor(0.1, 0.2, (2, 4, 6, 8)), (3.5, 7.0), [2] * 12 + [35] * 12),
        (Processor(0.1, 0.2, waits=50.0), (3.5, 7.0), [2] * 12 + [35] * 12),
        (Processor(0.1, 0.7), (0.2, 1.4), [2] * 12),
        (Processor(4.0, 2.0), (8.0, 4.0), [2] * 12),
        (Processor(60.0, 60.0), (120.0, 120.0), [2] * 8),
    ],
    ids=["bf16", "disturbed", "one disturbed", "busy", "no bf16", "slow", "very slow"],
)
def test_a_convolution_is_timed(monkeypatch, processor, expected, rows):
    monkeypatch.setattr(precision, "F", processor)
    clocks = SimpleNamespace(
        thread_time=lambda: processor.now, perf_counter=lambda: processor.now + processor.waited
    )
    monkeypatch.setattr(precision, "time", clocks)
    assert time_convolution() == pytest.approx(expected)
    assert processor.rows == rows


def test_timing_a_convolution_takes_a_moment():
    begin = time.perf_counter()
    times = time_convolution()
    assert time.perf_counter() - begin < 5  # ten times as long as is promised
    assert min(times) > 0


def test_precision_follows_the_device():
    assert resolve_precision("auto", torch.device("cuda")) == ("fp16", torch.float16, "")
    with pytest.raises(
        ValueError, match="expected one of auto, fp32, tf32, fp16, bf16, got 'int8'"
    ):
        resolve_precision("int8", torch.device("cpu"))


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)],
)
def test_images_of_another_shape_are_refused(segmenter, image):
    with pytest.raises(ValueError, match=r"expected shape \(H, W, 3\)"):
        segmenter(image)


def test_images_of_another_type_are_refused(segmenter):
    with pytest.raises(ValueError, match="expected a NumPy array of uint8, got float32"):
        segmenter(np.zeros((4, 4, 3), np.float32))


def test_presets_without_shipped_weights_ask_for_a_file():
    with pytest.raises(ValueError, match="expected a file for preset 'yolact_base', got none"):
        Segmenter(preset="yolact_base", device="cpu")


def test_what_is_kept_of_images_of_many_sizes_is_bounded(weights):
    """With resize="fit" each of them is an input of its own as well."""
    segmenter = Segmenter(weights=weights, device="cpu", precision="fp32", resize="fit")

    def segment(sizes):
        for height in sizes:
            segmenter(noise(height, 500), channel_order=("bgr", "rgb")[height % 2])
        return kept(segmenter)

    before, after = segment(range(64, 208, 8)), segment(range(211, 259, 8))
    assert any("_priors" in path for path in after) and any("_resize" in path for path in after)
    assert {path for path in after if after[path] > before[path]} == set()
