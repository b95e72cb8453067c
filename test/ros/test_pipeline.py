# SPDX-License-Identifier: Apache-2.0
"""The way of one frame, with a segmenter and outputs that the test controls."""

import time
from array import array

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.parameters import PARAMETERS, Settings
from yolact_ros.ros.pipeline import Pipeline
from yolact_ros.ros.statistics import Statistics
from yolact_ros.structures import Instances, PackedMask


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


class FakeSegmenter:
    def __init__(self):
        self.timings = {"network": 5.0}
        self.error = None
        self.images = []

    def __call__(self, images, channel_order):
        if self.error is not None:
            raise self.error
        self.images.append((images[0], channel_order))
        masks = (
            PackedMask.from_array(np.ones((2, 2), bool)),
            PackedMask.from_array(np.zeros((1, 1), bool)),
        )
        return [
            Instances(
                image_size=images[0].shape[:2],
                boxes=np.zeros((2, 4), np.float32),
                scores=np.array([0.9, 0.8], np.float32),
                class_ids=np.zeros(2, np.int64),
                class_names=("ball", "ball"),
                packed_masks=masks,
            )
        ]


class FakeOutputs:
    def __init__(self):
        self.topics = frozenset({"instances"})
        self.published = []

    def wanted(self):
        return self.topics

    def publish(self, result, wanted):
        self.published.append((result, wanted))
        return {"message": 1.0, "publish": 2.0}


class Recorder:
    def __init__(self):
        self.lines = []

    def warning(self, text):
        self.lines.append(text)

    error = warning


class Setup:
    def __init__(self, **changed):
        self.segmenter, self.outputs, self.logger = FakeSegmenter(), FakeOutputs(), Recorder()
        self.statistics = Statistics()
        values = {spec.name: spec.default for spec in PARAMETERS} | changed
        self.clock = Clock(clock_type=ClockType.ROS_TIME)
        self.pipeline = Pipeline(
            segmenter=self.segmenter,
            outputs=self.outputs,
            settings=Settings.from_values(values),
            statistics=self.statistics,
            clock=self.clock,
            log=ThrottledLog(self.logger),
        )

    def send(self, stamp=None, size=(4, 4), **changed):
        height, width = size
        fields = {
            "encoding": "rgb8",
            "step": 3 * width,
            "data": array("B", bytes(3 * width * height)),
        }
        header = Header(stamp=stamp or Time(), frame_id="camera")
        message = Image(header=header, width=width, height=height, **fields | changed)
        self.pipeline.process(self.pipeline.receive(message))

    @property
    def counts(self):
        return {name: n for name, n in self.statistics.snapshot().counts.items() if n}


def test_a_frame_becomes_a_result_without_empty_masks():
    setup = Setup()
    setup.send(stamp=setup.clock.now().to_msg())
    [(result, wanted)] = setup.outputs.published
    assert len(result.instances) == 1 and wanted == {"instances"}
    assert result.header.frame_id == "camera"
    assert setup.segmenter.images[0][1] == "rgb"
    assert setup.counts == {"processed": 1}
    times = setup.statistics.snapshot().times
    assert times["network"] == (5.0, 5.0) and 0 <= times["age"][0] < 5000
    assert result.image.pixels.shape == (4, 4, 3) and result.image.channel_order == "rgb"
    assert result.style.opacity == setup.pipeline.settings.overlay_opacity


def test_every_stage_from_arrival_to_sending_is_timed():
    setup = Setup()
    setup.segmenter.timings = {"upload": 3.0, "network": 5.0}  # whatever it has
    data = array("B", bytes(48))
    stamp = setup.clock.now().to_msg()
    image = Image(header=Header(stamp=stamp), width=4, height=4, encoding="rgb8", step=12)
    image.data = data
    frame = setup.pipeline.receive(image)
    time.sleep(0.05)
    setup.pipeline.process(frame)
    times = {name: median for name, (median, _) in setup.statistics.snapshot().times.items()}
    assert list(times) == [
        *("arrival", "wait", "convert", "upload", "network", "message", "publish"),
        *("processing", "total", "age"),
    ]
    assert (times["upload"], times["message"], times["publish"]) == (3.0, 1.0, 2.0)
    assert times["wait"] >= 50
    assert times["total"] == pytest.approx(times["wait"] + times["processing"], abs=1)
    assert times["age"] >= times["arrival"] + times["wait"]


def test_nobody_wants_a_result():
    setup = Setup()
    setup.outputs.topics = frozenset()
    setup.send()
    assert setup.counts == {"unwanted": 1} and not setup.segmenter.images


def test_a_full_gpu_costs_one_frame():
    setup = Setup()
    setup.segmenter.error = OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
    for _ in range(3):
        setup.send(size=(6, 8))
    setup.segmenter.error = None
    setup.send()
    assert setup.counts == {"failed": 3, "processed": 1}
    [line] = setup.logger.lines
    assert line == (
        "frame of 8 x 6 pixels not segmented: the GPU's memory is full "
        "(CUDA out of memory. Tried to allocate 2 GiB)"
    )


def test_whatever_the_network_raises_costs_one_frame():
    setup = Setup()
    setup.segmenter.error = RuntimeError("shapes do not fit")
    setup.send()
    setup.segmenter.error = None
    setup.send()
    assert setup.counts == {"failed": 1, "processed": 1}
    assert setup.logger.lines[0].endswith("not segmented: RuntimeError: shapes do not fit")


def test_malformed_frames_are_told_apart_in_the_log():
    setup = Setup()
    for _ in range(3):
        setup.send(step=5)
        setup.send(encoding="grün")
    setup.send(size=(2, 2), step=5)
    assert setup.counts == {"bad": 7}
    assert len(setup.logger.lines) == 3


@pytest.mark.parametrize("age, served", [(0.0, True), (10.0, False)])
def test_old_frames_are_dropped(age, served):
    setup = Setup(max_image_age=5.0)
    now = setup.clock.now().nanoseconds - int(age * 1e9)
    setup.send(stamp=Time(sec=now // 10**9, nanosec=now % 10**9))
    assert setup.counts == ({"processed": 1} if served else {"too_old": 1})
    if not served:
        assert "at most 5 s old (parameter max_image_age), got 10.0" in setup.logger.lines[0]


def test_frames_without_a_stamp_have_no_age():
    setup = Setup(max_image_age=5.0)
    setup.send(stamp=Time())
    assert setup.counts == {"processed": 1}
    assert "age" not in setup.statistics.snapshot().times


def test_settings_may_change_between_frames():
    setup = Setup()
    setup.send()
    values = {spec.name: spec.default for spec in PARAMETERS} | {"max_image_pixels": 15}
    setup.pipeline.settings = Settings.from_values(values)
    setup.send()
    assert setup.counts == {"processed": 1, "bad": 1}
    assert "at most 15 pixels" in setup.logger.lines[0]
