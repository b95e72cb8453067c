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
from yolact_ros.inference.gpu import path as gpu_path
from yolact_ros.inference.gpu import step as gpu_step
from yolact_ros.inference.gpu.path import GpuPath
from yolact_ros.presets import get_preset
from yolact_testing.masks import OfWhatIsUsed
from yolact_testing.networks import random_network
from yolact_testing.pictures import noise as fine_noise


class Replay:
    """Does on a CPU what a CUDA graph does: reads and writes the same memory in every call."""

    def __init__(self, function):
        self._function = function
        self._output = function()
        self.frames = 0

    def __call__(self):
        self.frames += 1
        for place, value in zip(self._output, self._function(), strict=True):
            place.copy_(value)
        return self._output


class Recorder:
    def __init__(self):
        self.captured = []

    def __call__(self, function):
        self.captured.append(Replay(function))
        return self.captured[-1]

    @property
    def frames(self):
        """How many frames each graph served; two more each were its proof."""
        return [replay.frames - 2 for replay in self.captured]


@pytest.fixture(scope="module")
def network():
    preset = dataclasses.replace(get_preset("yolact_demo"), mask_iou=True, input_size=96)
    network = random_network(preset, eager=2)
    with torch.no_grad():
        network.maskiou_net.maskiou_net[10].bias.uniform_(0.3, 0.9)
    return network


def segmenters(network, capture, *, mask_steps=None, **options):
    """One with the plain path, one with that of a GPU."""
    plain = Segmenter(network=network, device="cpu", precision="fp32", **options)
    make_path = functools.partial(GpuPath, capture=capture, mask_steps=mask_steps)
    gpu = Segmenter(network=network, device="cpu", precision="fp32", make_path=make_path, **options)
    return plain, gpu


def noise(height, width, seed=0):
    return fine_noise(height, width, seed, block=8)


def assert_equal(found, expected, differing_pixels=0.0):
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
        assert (one.masks != other.masks).mean() <= differing_pixels if len(one) else True


def assert_near(found, expected):
    """As `assert_equal`, but for the sigmoid of masks, which torch's steps round in another way."""
    assert_equal(found, expected, differing_pixels=1e-4)


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
    assert recorder.frames == ([] if nms == "exact" else [2])


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
def test_a_graph_serves_images_of_all_sizes_and_channel_orders(network):
    recorder = Recorder()
    plain, gpu = segmenters(network, recorder, mask_steps=OfWhatIsUsed())
    images = [noise(40, 50, 1), noise(70, 30, 2)]
    for _ in range(3):
        assert_near(gpu(images), plain(images))
        assert_near(gpu(images[::-1]), plain(images[::-1]))
        assert_near(gpu(images[0]), plain(images[0]))
        assert_near(gpu(images[0], channel_order="rgb"), plain(images[0], channel_order="rgb"))
        assert_near(gpu(images, ["rgb", "bgr"]), plain(images, ["rgb", "bgr"]))
    assert len(recorder.captured) == 2  # one for each number of images
    others = [noise(120, 90, 5), noise(33, 200, 6)]
    assert_near(gpu(others), plain(others))
    assert len(recorder.captured) == 2


@pytest.mark.slow
def test_cameras_of_many_sizes_need_a_graph_for_each_number_of_them(network):
    recorder = Recorder()
    _, gpu = segmenters(network, recorder)
    generator = np.random.default_rng(0)
    images = [noise(20 + 7 * i, 60 - 5 * i, i) for i in range(5)]
    for count in (1, 2, 3, 4, 5) * 4:
        gpu([images[i] for i in generator.permutation(5)[:count]])
    assert len(recorder.captured) == 5


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
    assert len(recorder.captured) == 1


def test_warming_up_captures_at_once_for_all_cameras(network):
    recorder = Recorder()
    _, gpu = segmenters(network, recorder)
    gpu.warm_up(batch=2)
    assert len(recorder.captured) == 1
    gpu([noise(48, 64), noise(30, 20)], channel_order="rgb")
    assert recorder.frames == [2]
    assert len(recorder.captured) == 1


@pytest.mark.slow
def test_inputs_seen_once_are_not_captured_and_only_the_last_are_kept(network):
    recorder = Recorder()
    _, gpu = segmenters(network, recorder, resize="fit")
    images = [noise(96, 40 + width) for width in range(20)]
    for image in images:
        gpu(image)
    assert recorder.captured == []
    for image in (images[4], images[3]):  # the sixteenth last, and the one before: forgotten
        for _ in range(2):
            gpu(image)
        assert len(recorder.captured) == 1


def test_a_capture_that_fails_is_told_once_with_its_whole_reason_and_nothing_stops(network, caplog):
    def fail(function):
        raise RuntimeError("operation not permitted when stream is capturing\nby this operator")

    plain, gpu = segmenters(network, fail)
    with caplog.at_level(logging.WARNING, logger="yolact_ros"):
        gpu.warm_up((40, 50))
        gpu.warm_up(batch=2)
        assert_equal(gpu(noise(40, 50)), plain(noise(40, 50)))
    assert [record.getMessage() for record in caplog.records] == [
        "CUDA graph not captured, every kernel is started alone: "
        "operation not permitted when stream is capturing by this operator"
    ]


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("Only one capture may be underway at a time. This is a limitation"),
    ],
)
def test_a_capture_that_fails_for_a_passing_reason_is_tried_again(
    network, caplog, monkeypatch, error
):
    now, recorder, errors = 1000.0, Recorder(), [error]
    monkeypatch.setattr(gpu_path.time, "monotonic", lambda: now)

    def capture(step):
        if errors:
            raise errors.pop()
        return recorder(step)

    plain, gpu = segmenters(network, capture)
    image = noise(40, 50)
    gpu.warm_up()
    assert [f"tried again after 30 s: {error}" in record.getMessage() for record in caplog.records]
    for _ in range(4):
        gpu(image)
    assert recorder.captured == []
    now += 31
    assert_equal(gpu(image), plain(image))
    assert recorder.frames == [1]
    assert len(caplog.records) == 1


class Stale(Replay):
    """A recording of nothing: it gives what the first run gave."""

    def __call__(self):
        return self._output


class WithoutMasks(Replay):
    """A recording in which one part was left out."""

    def __call__(self):
        output = super().__call__()
        output.block.zero_()
        return output


@pytest.mark.parametrize(
    ("replay", "what"), [(Stale, "prototypes"), (WithoutMasks, "masks and summaries")]
)
def test_a_graph_is_not_believed_if_its_replay_differs(network, caplog, replay, what):
    plain, gpu = segmenters(network, replay, mask_steps=OfWhatIsUsed())
    gpu.warm_up()
    for seed in range(3):
        assert_near(gpu(noise(40, 50, seed)), plain(noise(40, 50, seed)))
    [record] = caplog.records
    assert record.getMessage().startswith(
        "CUDA graph not used, every kernel is started alone: its replay gave other "
        f"{what} than the kernels themselves"
    )


def test_more_candidates_than_there_is_room_for(network, monkeypatch):
    monkeypatch.setattr(gpu_step, "CANDIDATES", 40)
    recorder = Recorder()
    plain, gpu = segmenters(network, recorder, max_instances=300)
    gpu.warm_up()
    for seed in range(4):
        image = noise(60, 80, seed)
        expected = plain(image)
        assert len(expected[0]) > 40
        assert_equal(gpu(image), expected)
    # The first graph had no room for those of warming up; after two frames there is another.
    assert recorder.frames == [1, 2]


def whole_image_masks(network, count):
    """Makes a network find the whole image `count` times, or nothing."""

    def predict(module, inputs, output):
        scores = torch.zeros_like(output.class_scores)
        scores[:, : count[0], 1] = torch.linspace(0.9, 0.5, count[0])
        centre = torch.tensor([0.5, 0.5, 1.0, 1.0]).expand_as(output.priors)
        return output._replace(
            class_scores=scores,
            priors=centre,
            offsets=torch.zeros_like(output.offsets),
            coefficients=torch.ones_like(output.coefficients),
            prototypes=output.prototypes.abs() + 1,
        )

    return network.register_forward_hook(predict)


class Counted(gpu_path.Staging):
    """Counts the bytes that each frame brings from the device."""

    moved: list

    def download(self, source):
        self.moved[-1] += len(source)
        return super().download(source)


@pytest.fixture
def whole_images(network, monkeypatch):
    """Segments an image of a size with a given number of masks, all of the whole image.

    Gives a function of both, and the bytes that each call moved.
    """
    monkeypatch.setattr(gpu_path, "Staging", Counted)
    monkeypatch.setattr(Counted, "moved", [], raising=False)
    count = [0]
    with whole_image_masks(network, count):
        _, gpu = segmenters(network, None, mask_steps=OfWhatIsUsed(), nms_iou=1.0)

    def frame(size, instances):
        Counted.moved.append(0)
        count[0] = instances
        [found] = gpu(np.full((*size, 3), 90, np.uint8))
        assert len(found) == instances
        assert instances == 0 or found[-1:].masks.all()
        [plan] = gpu._path._plans.values()
        return plan.step.mask_room

    return frame, Counted.moved


@pytest.mark.slow
def test_100_masks_of_the_whole_image_do_not_weigh_on_empty_frames(whole_images):
    frame, moved = whole_images
    for instances in (0, 100, *[0] * 64):
        assert frame((2160, 3840), instances) == gpu_step.MASK_ROOM
    assert moved[1] < 2 * moved[0] + gpu_step.MASK_ROOM  # most were made outside the step
    assert moved[2:] == [moved[0]] * 64


def test_room_follows_what_was_needed_lately(whole_images, monkeypatch):
    monkeypatch.setattr(gpu_step, "MASK_ROOM", 1 << 14)
    monkeypatch.setattr(gpu_path, "_BITS_AT_ONCE", 1 << 10)
    frame, moved = whole_images
    size, of_one = (240, 320), 240 * 40
    rooms = [frame(size, instances) for instances in (0, 12, 12, 12, 12, *[0] * 64)]
    # After the third time there is room for them, and after 64 frames without no more.
    assert rooms == [1 << 14] * 3 + [2 * 12 * of_one] * 65 + [1 << 14]
    assert moved[4] > 12 * of_one
    assert max(moved[1:4]) < 2 * moved[0] + (1 << 14)
    assert set(moved[5:]) == {moved[0]}


@pytest.mark.slow
@pytest.mark.parametrize("room", [1 << 10, 1 << 14, 1 << 20])
def test_masks_with_and_without_room(network, monkeypatch, room):
    monkeypatch.setattr(gpu_step, "MASK_ROOM", room)
    monkeypatch.setattr(gpu_path, "_BITS_AT_ONCE", 1 << 9)  # most masks come by a second copy
    plain, gpu = segmenters(network, None, mask_steps=OfWhatIsUsed(), max_instances=60)
    for seed in range(5):
        images = [noise(240, 320, seed), noise(100, 40, seed)]
        assert_near(gpu(images), plain(images))


def test_unused_places_cost_no_mask(network):
    boxes = []

    class Watched(OfWhatIsUsed):
        def regions(self, *arguments):
            boxes.append(arguments[0])
            return super().regions(*arguments)

    plain, gpu = segmenters(network, None, mask_steps=Watched(), max_instances=60)
    image = noise(64, 80)
    threshold = float(np.median(plain(image)[0].scores))
    gpu.options = dataclasses.replace(gpu.options, score_threshold=threshold)
    [found] = gpu(image)
    assert 0 < len(found) < 40 and boxes[0].shape == (1, 60, 4)
    # A box that is not a number takes no room, see `assemble_batch`.
    assert boxes[0][0].isnan().all(dim=1).tolist() == (
        [False] * len(found) + [True] * (60 - len(found))
    )


def test_one_kept_mask_does_not_keep_those_of_the_frame(network):
    _, gpu = segmenters(network, None, mask_steps=OfWhatIsUsed(), max_instances=60)
    [found] = gpu(noise(240, 320))
    for mask in found.packed_masks:
        assert mask.data.base is None and mask.data.nbytes == mask.height * mask.step


@pytest.mark.parametrize("inside", [False, True])
def test_every_stage_is_timed(network, monkeypatch, inside):
    now = 100.0

    def take(seconds):
        nonlocal now
        now += seconds

    class Slow(OfWhatIsUsed):
        def trim(self, *arguments):
            take(0.07)
            return super().trim(*arguments)

    assemble = gpu_path.assemble_masks

    def slowly(*arguments):
        take(0.07)
        return assemble(*arguments)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    monkeypatch.setattr(gpu_path, "assemble_masks", slowly)
    with network.register_forward_hook(lambda *call: take(0.05)):
        plain, gpu = segmenters(network, None, mask_steps=Slow() if inside else None)
    expected = {"upload": 0, "preprocess": 0, "network": 50, "decode": 0, "masks": 70}
    for _ in range(2):
        gpu(noise(40, 50))
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
