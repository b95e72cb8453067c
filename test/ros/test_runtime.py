# SPDX-License-Identifier: Apache-2.0
"""From a message to its results, with a segmenter, outputs and threads that the test controls."""

import dataclasses
import time
from array import array
from concurrent.futures import Future

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from yolact_ros.errors import InputError
from yolact_ros.presets import get_preset
from yolact_ros.recordings.images.raw import ImageArray, image_to_array
from yolact_ros.ros.batch import MOST_FAILURES, SMALLER_FOR, BatchSegmenter, GpuLost
from yolact_ros.ros.camera_stream import make_streams
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.frame import Frame
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.parameters.table import PARAMETERS, Settings
from yolact_ros.ros.region import WHOLE
from yolact_ros.ros.runtime import Runtime
from yolact_ros.structures import Instances, PackedMask
from yolact_testing.growth import kept
from yolact_testing.logs import Recorder

PRESET = get_preset("yolact_demo")


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


class FakeSegmenter:
    def __init__(self):
        self.timings = {"network": 5.0}
        self.error = self.stand_in = None
        self.largest = 100  # images in a batch
        self.preset, self.device = PRESET, "cpu"
        self.precision, self.precision_reason = "fp32", "measured"
        self.class_names = PRESET.class_names
        self.options = None
        self.guilty = None  # (height, width) that no batch survives
        self.images, self.batches = [], []

    def __call__(self, images, channel_order, options=None):
        self.asked = options
        self.batches.append([image.shape[:2] for image in images])
        if self.stand_in is not None:
            return self.stand_in(images, channel_order)
        if self.error is not None:
            raise self.error
        if len(images) > self.largest:
            raise OutOfMemoryError("CUDA out of memory")
        if any(image.shape[:2] == self.guilty for image in images):
            raise OutOfMemoryError("CUDA out of memory")
        self.images += zip(images, channel_order, strict=True)
        return [one_instance(image.shape[:2]) for image in images]


def one_instance(size):
    """And one with an empty mask."""
    masks = (
        PackedMask.from_array(np.ones((2, 2), bool)),
        PackedMask.from_array(np.zeros((1, 1), bool)),
    )
    return Instances(
        image_size=size,
        boxes=np.zeros((2, 4), np.float32),
        scores=np.array([0.9, 0.8], np.float32),
        class_ids=np.zeros(2, np.int64),
        class_names=("ball", "ball"),
        packed_masks=masks,
    )


class FakeOutputs:
    def __init__(self):
        self.topics = frozenset({"instances"})
        self.published = []

    def wanted(self):
        return self.topics

    def publish(self, result, wanted):
        self.published.append((result, wanted))
        return {"message": 1.0, "publish": 2.0}


class FakeMeasuring:
    """In the place of `Measuring`: it notes what it is asked."""

    def __init__(self):
        self.expected, self.offered, self.settings = [], [], None
        self.distance = 1.0

    def expect(self, frame):
        self.expected.append(frame)

    def offer(self, frame, result, wanted):
        self.offered.append((frame, result, wanted))

    def rough_centres(self, frame, instances):
        return np.full((len(instances), 3), [0, 0, self.distance])

    def apply(self, settings):
        self.settings = settings


class OneStepWorker:
    """In the place of `BatchWorker`: the test takes out what was offered, and calls `work`."""

    def __init__(self, cameras, work, on_error, **options):
        self.offered, self.on_error = [], on_error
        OneStepWorker.newest = self

    def offer(self, camera, frame):
        self.offered.append(frame)

    def configure(self, **options):
        """The test takes out what was offered itself."""

    def call(self, function):
        future = Future()
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)
        return future


class HandOverAtOnce:
    """In the place of `HandOver`: the work is done in the thread that gives."""

    def __init__(self, work, on_error):
        self.work = work

    def give(self, item):
        self.work(item)
        return True


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch):
    monkeypatch.setattr("yolact_ros.ros.runtime.BatchWorker", OneStepWorker)
    monkeypatch.setattr("yolact_ros.ros.runtime.HandOver", HandOverAtOnce)


class Setup:
    def __init__(self, cameras=(), on_cpu=None, **changed):
        self.segmenter, self.logger = FakeSegmenter(), Recorder()
        self.counters = Counters()
        self.cameras = make_streams(cameras, self.counters, self.logger)
        self.all_outputs = {camera.name: FakeOutputs() for camera in self.cameras}
        self.outputs = self.all_outputs[self.cameras[0].name]
        values = {spec.name: spec.default for spec in PARAMETERS} | changed
        self.clock = Clock(clock_type=ClockType.ROS_TIME)
        self.lost = []
        self.measuring = FakeMeasuring()
        self.runtime = Runtime(
            segmenter=self.segmenter,
            outputs=self.all_outputs,
            class_list=None,
            measuring=self.measuring,
            cameras=self.cameras,
            settings=Settings.from_values(values),
            counters=self.counters,
            clock=self.clock,
            log=ThrottledLog(self.logger),
            on_cpu=on_cpu,
            on_gpu_lost=self.lost.append,
        )
        self.worker = OneStepWorker.newest

    def receive(self, stamp=None, size=(4, 4), camera=0, info=None, **changed):
        height, width = size
        fields = {
            "encoding": "rgb8",
            "step": 3 * width,
            "data": array("B", bytes(3 * width * height)),
        }
        stamp = self.clock.now().to_msg() if stamp is None else stamp
        header = Header(stamp=stamp, frame_id="camera")
        message = Image(header=header, width=width, height=height, **fields | changed)
        self.runtime.receive(self.cameras[camera], message, info)
        return self.worker.offered.pop() if self.worker.offered else None

    def serve(self, frames):
        return self.runtime.segment(frames)

    def send(self, **fields):
        if (frame := self.receive(**fields)) is not None:
            self.serve([frame])

    @property
    def counts(self):
        return {name: n for name, n in self.counters.snapshot().counts.items() if n}


def test_a_frame_becomes_a_result_without_empty_masks():
    setup = Setup()
    setup.send(stamp=setup.clock.now().to_msg())
    [(result, wanted)] = setup.outputs.published
    assert len(result.instances) == 1 and wanted == {"instances"}
    assert result.header.frame_id == "camera"
    assert setup.segmenter.images[0][1] == "rgb"
    assert setup.counts == {"processed": 1}
    times = setup.counters.snapshot().times
    assert times["network"] == (5.0, 5.0) and 0 <= times["age"][0] < 5000
    assert result.image.pixels.shape == (4, 4, 3) and result.image.channel_order == "rgb"
    assert result.style.opacity == setup.runtime.settings.overlay_opacity


@pytest.mark.parametrize(
    "bits, brightness, line",
    [
        (0, 200, "reach 3215 of 65535 and are read as 12 bits"),
        (12, 200, None),
        (16, 12, "reach 3215 of 65535, so that its pictures are dark; image_depth_bits: 12"),
        (10, 255, "reach 3215, but image_depth_bits is 10"),
    ],
)
def test_a_camera_of_few_bits_is_read_as_set_and_remarked_once(bits, brightness, line):
    setup = Setup(("front", "rear"), image_depth_bits=bits)
    gray = array("B", np.full(16, (200 << 4) + 15, "<u2").tobytes())
    for _ in range(3):
        frames = [
            setup.receive(camera=0),
            setup.receive(camera=1, encoding="mono16", step=8, data=gray),
        ]
        setup.serve(frames)
    found = [int(pixels.max()) for pixels, _ in setup.segmenter.images]
    assert sorted(found) == [0] * 3 + [brightness] * 3
    lines = setup.logger.lines
    assert len(lines) == bool(line)
    assert all(each.startswith("rear: its 16-bit samples ") and line in each for each in lines)


@pytest.mark.parametrize("resize", ["square", "fit"])
def test_what_is_kept_of_cameras_that_change_is_bounded(resize):
    """Size, encoding, frame and stamp of every frame differ from those of the one before."""
    setup = Setup(("front", "rear"), resize=resize)

    def send(first, count):
        for number in range(first, first + count):
            frames = []
            for camera in (0, 1):
                size = (number % 60 + 2, 700 - number)
                channels = {"rgb8": 3, "bgra8": 4, "mono8": 1, f"rubbish{number}": 1}
                encoding = list(channels)[number % 4]
                step = size[1] * channels[encoding]
                stamp = Time(sec=1000 - number if number % 3 else number, nanosec=number)
                message = Image(header=Header(stamp=stamp, frame_id=f"{number}"), encoding=encoding)
                message.height, message.width, message.step = *size, step
                message.data = array("B", bytes(step * size[0] - (number % 5 == 0)))
                setup.runtime.receive(setup.cameras[camera], message)
                frames.append(setup.worker.offered.pop())
            setup.serve(frames)
        for outputs in setup.all_outputs.values():
            outputs.published.clear()
        setup.segmenter.images.clear()
        setup.segmenter.batches.clear()
        return kept(setup.runtime, setup.cameras, setup.counters, setup.runtime._log)

    send(0, 480)  # until there is no room for more times
    before, after = send(480, 60), send(540, 60)
    assert sum(before.values()) > 1000  # it looks into what keeps times
    assert {path for path in after if after[path] > before.get(path, 0)} == set()


def test_every_stage_from_arrival_to_sending_is_timed():
    setup = Setup()
    setup.segmenter.timings = {"upload": 3.0, "network": 5.0}  # whatever it has
    now = time.time_ns()
    info = {"source_timestamp": now - 9_000_000, "received_timestamp": now - 5_000_000}
    frame = setup.receive(stamp=setup.clock.now().to_msg(), info=info)
    time.sleep(0.05)
    setup.serve([frame])
    times = {name: median for name, (median, _) in setup.counters.snapshot().times.items()}
    assert list(times) == [
        *("upload", "network", "batch", "hand-over"),
        *("transport", "executor", "arrival", "wait", "convert"),
        *("track", "message", "publish", "processing", "total", "age"),
    ]
    assert times["transport"] == pytest.approx(4) and 5 <= times["executor"] < 1000
    assert (times["upload"], times["message"], times["publish"]) == (3.0, 1.0, 2.0)
    assert times["wait"] >= 50
    assert times["total"] == pytest.approx(times["wait"] + times["processing"], abs=1)
    assert times["age"] >= times["arrival"] + times["wait"]


def _tracks(setup, camera=0, **changed):
    """Send an image, and return the numbers in what was published for it."""
    setup.send(camera=camera, **changed)
    result, _ = setup.all_outputs[setup.cameras[camera].name].published[-1]
    return None if result.track_ids is None else result.track_ids.tolist()


def test_things_keep_their_numbers_and_each_camera_has_its_own():
    setup = Setup(("front", "rear"))
    stamps = [Time(sec=100, nanosec=number * 66_000_000) for number in range(4)]
    assert [_tracks(setup, stamp=stamp) for stamp in stamps] == [[1]] * 4
    assert _tracks(setup, 1, stamp=stamps[0]) == [1]
    assert _tracks(setup, stamp=Time(sec=99)) == [2]
    assert setup.counters.snapshot().times["track"][0] > 0
    setup.measuring.distance = 2.0  # in the same place of the image, but farther away
    assert _tracks(setup, stamp=Time(sec=99, nanosec=1)) == [3]


def test_a_camera_without_stamps_is_tracked_by_arrival():
    setup = Setup()
    assert [_tracks(setup, stamp=Time()) for _ in range(3)] == [[1]] * 3
    setup.runtime.apply({"track.buffer": 0.01})
    time.sleep(0.02)
    assert _tracks(setup, stamp=Time()) == [2]


def test_no_result_is_lost_because_it_could_not_be_tracked():
    setup = Setup()
    setup.measuring.rough_centres = lambda frame, instances: np.zeros((7, 3))
    assert [_tracks(setup) for _ in range(2)] == [None, None]
    assert setup.counts == {"processed": 2}
    assert setup.logger.lines == [
        "things not tracked: InputError: centres: expected (1, 3), one of each instance, got (7, 3)"
    ]


@pytest.mark.parametrize("topic", ["instance_map", "class_map", "confidence_map", "points"])
def test_nothing_is_tracked_for_what_does_not_show_it(topic):
    setup = Setup()
    setup.outputs.topics = frozenset({topic})
    assert _tracks(setup) is None and "track" not in setup.counters.snapshot().times
    setup.outputs.topics = frozenset({topic, "detections"})
    assert _tracks(setup) == [1]
    setup.runtime.apply({"track": False})
    assert _tracks(setup) is None


def test_what_a_thing_is_called_is_voted_and_instances_say_what_was_found():
    setup = Setup()
    for number, name in enumerate(("ball", "ball", "mug")):

        def called(images, channel_order, name=name):
            found = one_instance(images[0].shape[:2])
            ids = np.full(2, PRESET.class_names.index(name))
            boxes = np.tile(np.float32([0, 0, 2, 2]), (2, 1))
            names = (name, name)
            return [dataclasses.replace(found, class_ids=ids, class_names=names, boxes=boxes)]

        setup.segmenter.stand_in = called
        setup.send(stamp=Time(sec=100, nanosec=number))
    result, _ = setup.outputs.published[-1]
    assert (result.instances.class_names, result.voted.class_names) == (("mug",), ("ball",))
    assert result.track_ids.tolist() == [1]


def test_the_parameters_of_tracking_are_used_from_the_next_image_on():
    setup = Setup(**{"track.start_score": 0.95})
    assert _tracks(setup) == [0]
    setup.runtime.apply({"track.start_score": 0.8})
    assert _tracks(setup) == [1]


def test_each_camera_s_network_sees_its_region_alone(tmp_path):
    picture = np.zeros((6, 8), np.uint8)
    picture[:, 6:] = 255
    cv2.imwrite(str(tmp_path / "gripper.png"), picture)
    setup = Setup(("front", "rear"), roi=(2, 1, 4, 4))
    setup.runtime.apply(
        {"rear.roi": (1, 0, 6, 3), "rear.ignore_mask": str(tmp_path / "gripper.png")}
    )
    setup.serve([setup.receive(camera=number, size=(6, 8)) for number in (0, 1)])
    sizes = sorted(pixels.shape[:2] for pixels, _ in setup.segmenter.images)
    assert sizes == [(3, 6), (4, 4)]
    [rear] = [pixels for pixels, _ in setup.segmenter.images if pixels.shape[1] == 6]
    assert (rear[:, :5] == 0).all() and (rear[:, 5] == (124, 117, 104)).all()
    for name, corner in (("front", (2, 1)), ("rear", (1, 0))):
        [(result, _)] = setup.all_outputs[name].published
        assert result.instances.image_size == result.image.pixels.shape[:2] == (6, 8)
        [mask] = result.instances.packed_masks
        assert (mask.x_offset, mask.y_offset) == corner
        assert result.instances.boxes[0].tolist() == [*corner, *corner]


def test_a_region_beyond_the_image_is_told_and_a_wrong_picture_refused(tmp_path):
    setup = Setup(roi=(0, 0, 5, 4))
    for _ in range(2):
        setup.send()
    text = "roi: expected x, y, width and height within the image's 4x4 pixels, got [0, 0, 5, 4]"
    assert setup.counts == {"bad": 2} and setup.logger.lines == [f"frame skipped: {text}"]
    assert setup.counters.snapshot().reasons["bad"] == text
    (tmp_path / "page.png").write_text("<html>")
    with pytest.raises(InputError, match=r"ignore_mask: expected a picture.* got .*page.png"):
        setup.runtime.apply({"ignore_mask": str(tmp_path / "page.png"), "roi": (0, 0, 4, 4)})
    assert setup.runtime.settings.roi == (0, 0, 5, 4)
    setup.runtime.apply({"roi": (0, 0, 0, 0)})
    setup.send()
    assert setup.counts == {"bad": 2, "processed": 1}


def test_depth_is_expected_from_the_callback_on_and_waited_for_after_publishing():
    setup = Setup()
    setup.send()
    assert not setup.measuring.expected and not setup.measuring.offered
    setup.outputs.topics = frozenset({"objects"})
    frame = setup.receive()
    assert setup.measuring.expected == [frame] and not setup.measuring.offered
    setup.serve([frame])
    [(result, _)] = setup.outputs.published[1:]
    assert setup.measuring.offered == [(frame, result, {"objects"})]
    assert setup.counts == {"processed": 2}


def test_what_is_not_published_is_not_measured():
    setup = Setup()
    setup.outputs.topics = frozenset({"objects"})
    setup.segmenter.error = RuntimeError("shapes do not fit")
    setup.send()
    setup.segmenter.error = None
    setup.outputs.publish = lambda result, wanted: None  # shut
    setup.send()
    assert setup.counts == {"failed": 1, "stopped": 1} and not setup.measuring.offered


def test_what_the_middleware_does_not_tell_is_not_timed():
    setup = Setup()
    setup.send(info={"source_timestamp": 0, "received_timestamp": 0})
    setup.send(info={"source_timestamp": 0, "received_timestamp": time.time_ns()})
    times = setup.counters.snapshot().times
    assert "transport" not in times and 0 <= times["executor"][0] < 1000


def test_nobody_wants_a_result():
    setup = Setup()
    setup.outputs.topics = frozenset()
    assert setup.receive() is None
    assert setup.counts == {"unwanted": 1}
    # Or not any more when its turn comes.
    setup.outputs.topics = frozenset({"instances"})
    frame = setup.receive()
    setup.outputs.topics = frozenset()
    setup.serve([frame])
    assert setup.counts == {"unwanted": 2} and not setup.segmenter.images


def test_an_image_on_demand_has_its_own_options_and_says_why_it_failed():
    setup = Setup()
    name = PRESET.class_names[1]
    options = setup.runtime.options_for([name], 0.05)
    assert (options.classes, options.score_threshold) == ((name,), 0.05)
    defaults = setup.runtime.options_for([], 0.0)
    assert (defaults.classes, defaults.score_threshold) == ((), 0.15)
    [camera] = make_streams((), Counters(), setup.logger)

    def segment():
        frame = Frame(camera, Image(), 0.0)
        view = WHOLE.view(ImageArray(np.zeros((4, 6, 3), np.uint8), "rgb"))
        return setup.runtime.segment_alone(frame, view, options).result()

    found = segment()
    assert len(found) == 1 and found.image_size == (4, 6)  # without the empty mask
    assert setup.segmenter.asked == options and setup.segmenter.options is None
    setup.segmenter.error = RuntimeError("shapes do not fit")
    with pytest.raises(InputError, match="image not segmented: RuntimeError: shapes do not fit"):
        segment()
    assert not setup.lost
    setup.segmenter.error = RuntimeError("CUDA error: an illegal memory access was encountered")
    for expected in [InputError] * (MOST_FAILURES - 1) + [GpuLost]:
        with pytest.raises(expected):
            segment()
    assert len(setup.lost) == 1
    assert not setup.counts and not setup.outputs.published


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
    assert "age" not in setup.counters.snapshot().times


def test_settings_may_change_between_frames():
    setup = Setup()
    setup.send()
    values = {spec.name: spec.default for spec in PARAMETERS} | {"max_image_pixels": 15}
    setup.runtime.settings = Settings.from_values(values)
    setup.send()
    assert setup.counts == {"processed": 1, "bad": 1}
    assert "at most 15 pixels" in setup.logger.lines[0]


def test_a_batch_has_one_order_of_sizes_and_each_result_its_own_camera():
    setup = Setup(cameras=("front", "rear", "side"))
    sizes = [(6, 8), (4, 4), (4, 4)]
    orders = ["rgb8", "rgb8", "bgr8"]
    for turn in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        setup.serve([setup.receive(camera=i, size=sizes[i], encoding=orders[i]) for i in turn])
    assert setup.segmenter.batches == [[(4, 4), (4, 4), (6, 8)]] * 3
    assert [order for _, order in setup.segmenter.images] == ["bgr", "rgb", "rgb"] * 3
    for camera, size in zip(setup.cameras, sizes, strict=True):
        published = setup.all_outputs[camera.name].published
        assert [result.instances.image_size for result, _ in published] == [size] * 3
        assert camera.counters.snapshot().counts["processed"] == 3
    assert setup.counts == {"processed": 9}
    whole = setup.counters.snapshot()
    assert whole.batch_size == 3.0 and "network" in whole.times
    assert "network" not in setup.cameras[0].counters.snapshot().times


def test_rubbish_of_one_camera_is_left_out_of_the_batch():
    setup = Setup(cameras=("front", "rear"))
    for _ in range(2):
        setup.serve([setup.receive(camera=0), setup.receive(camera=1, step=5)])
    assert setup.segmenter.batches == [[(4, 4)]] * 2
    assert setup.counts == {"processed": 2, "bad": 2}
    assert setup.cameras[1].counters.snapshot().counts["bad"] == 2
    [line] = setup.logger.lines
    assert line.startswith("rear: frame skipped: image: expected a step")


def test_whatever_a_library_makes_of_rubbish_costs_that_frame_alone(monkeypatch):
    def convert(message, *options):
        if message.encoding == "odd":
            raise MemoryError("no room\nfor it")
        return image_to_array(message, *options)

    monkeypatch.setattr("yolact_ros.ros.frame.image_to_array", convert)
    setup = Setup(cameras=("front", "rear"))
    setup.serve([setup.receive(camera=0), setup.receive(camera=1, encoding="odd")])
    assert setup.counts == {"processed": 1, "bad": 1}
    assert setup.logger.lines == ["rear: frame skipped: MemoryError: no room"]


def test_a_batch_that_fails_costs_only_the_guilty_frame():
    setup = Setup(cameras=("front", "rear", "side"))
    setup.segmenter.guilty = (6, 8)
    sizes = [(4, 4), (6, 8), (5, 5)]
    for _ in range(2):
        setup.serve([setup.receive(camera=i, size=size) for i, size in enumerate(sizes)])
    assert setup.segmenter.batches == [[(4, 4), (5, 5), (6, 8)], [(4, 4), (5, 5)], [(6, 8)]] * 2
    assert setup.counts == {"processed": 4, "failed": 2}
    assert setup.cameras[1].counters.snapshot().counts["failed"] == 2
    assert setup.logger.lines == [
        "a batch of 3 frames failed, and is tried in parts of 2: the GPU's memory is full "
        "(CUDA out of memory)",
        "rear: frame of 8 x 6 pixels not segmented: the GPU's memory is full (CUDA out of memory)",
    ]


def test_a_batch_that_is_too_large_stays_smaller_for_a_while():
    setup = Setup(cameras=("front", "rear", "left", "right"))
    setup.segmenter.largest = 2
    now = [100.0]
    log = ThrottledLog(setup.logger)
    segment = BatchSegmenter(setup.segmenter, setup.counters, log, clock=lambda: now[0])
    frames = [setup.receive(camera=i) for i in range(4)]
    batch = [(frame, image_to_array(frame.message, 100)) for frame in frames]
    for seconds, sizes in ((0.0, [4, 2, 2]), (1.0, [2, 2]), (SMALLER_FOR, [4, 2, 2])):
        setup.segmenter.batches.clear()
        now[0] = 100.0 + seconds
        assert None not in segment(batch)
        assert [len(batch) for batch in setup.segmenter.batches] == sizes
    assert any(line.startswith("batches of at most 2 frames") for line in setup.logger.lines)


def test_the_cpu_takes_over_if_it_may():
    on_cpu = FakeSegmenter()
    setup = Setup(on_cpu=lambda: on_cpu)
    setup.runtime.apply({"max_instances": 7})
    setup.segmenter.error = OutOfMemoryError("CUDA out of memory")
    for _ in range(MOST_FAILURES + 1):
        setup.send()
    assert setup.counts == {"failed": MOST_FAILURES - 1, "processed": 2}
    assert len(on_cpu.images) == 2 and setup.runtime.network.device == "cpu"
    assert on_cpu.options.max_instances == 7
    assert any("going on with the CPU" in line for line in setup.logger.lines)


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later",
        "cuDNN failed: CUDA error: unspecified launch failure",
    ],
)
def test_errors_that_no_call_can_mend_end_the_process(text):
    setup = Setup()
    setup.segmenter.error = RuntimeError(text)
    for _ in range(MOST_FAILURES - 1):
        setup.send()
    last = setup.receive()
    with pytest.raises(GpuLost) as raised:
        setup.serve([last])
    setup.worker.on_error([last], raised.value)
    [problem] = setup.lost
    assert text.splitlines()[0] in problem
    assert setup.counts == {"failed": MOST_FAILURES}


def test_other_errors_never_end_the_process():
    setup = Setup()
    setup.segmenter.error = RuntimeError("CUDA error: invalid argument")
    for _ in range(10 * MOST_FAILURES):
        setup.send()
    assert setup.counts == {"failed": 10 * MOST_FAILURES}


def test_results_that_cannot_be_published_are_reported_and_the_others_go_out():
    setup = Setup(cameras=("front", "rear"))

    def fail(result, wanted):
        raise RuntimeError("no publisher")

    setup.all_outputs["front"].publish = fail
    assert setup.serve([setup.receive(camera=0), setup.receive(camera=1)])
    assert len(setup.all_outputs["rear"].published) == 1
    assert setup.counts == {"processed": 1, "unpublished": 1}
    assert setup.cameras[0].counters.snapshot().counts["unpublished"] == 1
    assert setup.logger.lines == ["front: frame not published: RuntimeError: no publisher"]


def test_results_that_nobody_wants_any_more_or_that_come_too_late_are_counted_so():
    setup = Setup(cameras=("front", "rear"))

    def nobody_wants(images, channel_order):
        setup.all_outputs["front"].topics = frozenset()
        return [one_instance(image.shape[:2]) for image in images]

    setup.all_outputs["rear"].publish = lambda result, wanted: None  # shut meanwhile
    frames = [setup.receive(camera=0), setup.receive(camera=1)]
    setup.segmenter.stand_in = nobody_wants
    setup.serve(frames)
    assert setup.counts == {"unwanted": 1, "stopped": 1}


def test_a_batch_whose_work_raises_is_counted_frame_by_frame(monkeypatch):
    setup = Setup(cameras=("front", "rear"))
    frames = [setup.receive(camera=0), setup.receive(camera=1, step=5)]
    setup.outputs.wanted = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError) as raised:
        setup.serve(frames)
    setup.worker.on_error(frames, raised.value)
    setup.worker.on_error(frames, raised.value)  # but never twice
    assert setup.counts == {"failed": 2}


def test_negative_and_other_odd_stamps_cost_no_frame_and_are_named_once():
    setup = Setup(max_image_age=5.0)
    for _ in range(3):
        setup.send(stamp=Time(sec=-1, nanosec=5))
    assert setup.counts == {"processed": 3}
    assert not {"age", "arrival"} & set(setup.counters.snapshot().times)
    [line] = setup.logger.lines
    assert "negative" in line and setup.cameras[0].stamps
    setup.send(stamp=setup.clock.now().to_msg())
    assert not setup.cameras[0].stamps and "age" in setup.counters.snapshot().times


def test_compiled_networks_refuse_larger_batches_than_they_were_compiled_for():
    setup = Setup(cameras=("front", "rear", "side"), compile=True, max_batch=2)
    for allowed in (1, 2):
        setup.runtime.apply({"max_batch": allowed})
    for refused in (0, 3):
        with pytest.raises(InputError, match="expected at most 2"):
            setup.runtime.apply({"max_batch": refused})
    assert setup.runtime.settings.max_batch == 2
