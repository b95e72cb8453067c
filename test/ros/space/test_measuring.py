# SPDX-License-Identifier: Apache-2.0
"""From results and depth to objects, with outputs and transforms that the test controls."""

from types import SimpleNamespace

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.ros.camera_stream import make_streams
from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.ros.counters import SPACE_COUNTERS, Counters
from yolact_ros.ros.frame import Frame
from yolact_ros.ros.outputs import Result
from yolact_ros.ros.parameters.table import PARAMETERS, Settings
from yolact_ros.ros.space.measuring import Measuring
from yolact_ros.ros.space.transforms import TransformError
from yolact_ros.space import Transform
from yolact_ros.structures import Instances, PackedMask
from yolact_ros.tracking import Tracked
from yolact_ros.visualization import OverlayStyle
from yolact_testing.logs import Recorder

WIDTH, HEIGHT = 64, 48
STAMP = Time(sec=100)


class FakeOutputs:
    def __init__(self):
        self.topics = frozenset({"objects", "instances"})
        self.published = []
        self.shut = False
        self.error = None

    def wanted(self):
        return self.topics

    def publish(self, result, wanted, sending):
        if self.error:
            raise self.error
        self.published.append((result, wanted))
        return None if self.shut else {"objects message": 1.0, sending: 2.0}


class FakeTransforms:
    target_frame = "base_link"

    def __init__(self):
        self.error = None
        self.asked = []
        self.place = [0, 0, 1]

    def lookup(self, frame, stamp, patience):
        self.asked.append((frame, stamp))
        if self.error:
            raise self.error
        return Transform.from_quaternion([-0.5, 0.5, -0.5, 0.5], self.place)


class Setup:
    """A box 0.8 m in front of a camera; the thread's work is done in the test's."""

    def __init__(self, transforms=None, **changed):
        self.logger, self.counters = Recorder(), Counters()
        [self.camera] = make_streams((), self.counters, self.logger)
        self.outputs = FakeOutputs()
        values = {spec.name: spec.default for spec in PARAMETERS} | changed
        self.measuring = Measuring(
            cameras=[self.camera],
            outputs={"": self.outputs},
            settings=Settings.from_values(values),
            clock=Clock(clock_type=ClockType.ROS_TIME),
            transforms=transforms,
        )
        self.measuring._worker = SimpleNamespace(
            offer=lambda pending: self.measuring.measure(pending), look_again=lambda: None
        )
        self.share = None  # of the box that is seen; None: it is not tracked
        self.mask = np.zeros((HEIGHT, WIDTH), bool)
        self.mask[10:30, 20:50] = True
        self.depth = np.where(self.mask, np.float32(0.8), np.float32(3.0))

    def info(self, **changed):
        k = [60.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0]
        fields = {"width": WIDTH, "height": HEIGHT, "k": k}
        self.measuring.receive_camera_info(self.camera, CameraInfo(**fields | changed))

    def send_depth(self, depth=None, stamp=STAMP, frame_id="camera", encoding="32FC1"):
        header = Header(stamp=stamp, frame_id=frame_id)
        depth = self.depth if depth is None else depth
        self.measuring.receive_depth(self.camera, array_to_image(depth, encoding, header), 5.02)

    def send(self, stamp=STAMP):
        header = Header(stamp=stamp, frame_id="camera")
        frame = Frame(self.camera, SimpleNamespace(header=header), arrived=5.0)
        self.measuring.expect(frame)
        return frame

    def found(self):
        return Instances(
            image_size=(HEIGHT, WIDTH),
            boxes=np.array([[20, 10, 50, 30]], np.float32),
            scores=np.ones(1, np.float32),
            class_ids=np.zeros(1, np.int64),
            class_names=("box",),
            packed_masks=(PackedMask.from_array(self.mask),),
        )

    def result(self, frame):
        instances = self.found()
        image = ImageArray(np.zeros((HEIGHT, WIDTH, 3), np.uint8), "bgr")
        result = Result(
            frame.message.header, instances, image, OverlayStyle(), 85, self.tracked(frame)
        )
        self.measuring.offer(frame, result, self.outputs.topics)

    def tracked(self, frame):
        if self.share is None:
            return None
        stamp = frame.message.header.stamp.sec + frame.message.header.stamp.nanosec * 1e-9
        return Tracked(
            np.array([5]), np.array([1]), ("crate",), np.array([self.share]), stamp, False
        )

    def serve(self, **depth):
        self.info()
        self.send_depth(**depth)
        self.result(self.send())

    @property
    def counts(self):
        counts = self.counters.snapshot().counts
        return {name: counts[name] for name in SPACE_COUNTERS if counts[name]}


def test_an_object_is_measured_and_timed():
    setup = Setup()
    setup.serve()
    [(result, wanted)] = setup.outputs.published
    assert wanted == {"objects"}
    assert result.header == result.image_header == Header(stamp=STAMP, frame_id="camera")
    np.testing.assert_allclose(result.objects.centres, [[0.04, -0.053, 0.8]], atol=0.01)
    assert result.image is None  # nobody wants points
    assert setup.counts == {"depth_received": 1, "measured": 1}
    times = setup.counters.snapshot().times
    assert list(times) == ["depth", "objects", "objects message", "objects publish"]
    assert times["depth"][0] == pytest.approx(20.0)
    assert setup.counters.snapshot().last_measured is not None and not setup.logger.lines


def test_depth_in_millimetres_of_half_the_size():
    setup = Setup()
    setup.serve(depth=np.rint(setup.depth[::2, ::2] * 1000).astype(np.uint16), encoding="16UC1")
    [(result, _)] = setup.outputs.published
    np.testing.assert_allclose(result.objects.centres[0, 2], 0.8, atol=0.001)
    assert result.depth.shape == (HEIGHT, WIDTH)


def test_points_need_the_image_and_no_objects():
    setup = Setup(**{"space.organized": True})
    setup.outputs.topics = frozenset({"points"})
    setup.serve()
    [(result, wanted)] = setup.outputs.published
    assert wanted == {"points"} and len(result.objects) == 0 and result.image is not None
    assert result.organised


def test_rectified_images_follow_the_projection_matrix():
    setup = Setup(**{"space.rectified": True})
    setup.info(p=[120.0, 0.0, 31.5, 0.0, 0.0, 120.0, 23.5, 0.0, 0.0, 0.0, 1.0, 0.0])
    setup.send_depth()
    setup.result(setup.send())
    [(result, _)] = setup.outputs.published
    assert (result.camera.fx, result.camera.fy) == (120.0, 120.0)


def test_boxes_are_upright_where_up_is_known():
    setup = Setup(**{"space.up": (0.0, -2.0, 0.0)})
    setup.serve()
    [(result, _)] = setup.outputs.published
    axes = Transform.from_quaternion(result.objects.orientations[0], [0, 0, 0]).rotation
    np.testing.assert_allclose(axes[:, 2], [0, -1, 0], atol=1e-9)


def test_the_target_frame_is_looked_up_at_the_image_s_stamp_and_its_z_is_up():
    transforms = FakeTransforms()
    setup = Setup(transforms)
    setup.serve()
    [(result, _)] = setup.outputs.published
    assert transforms.asked == [("camera", STAMP)]
    assert result.header == Header(stamp=STAMP, frame_id="base_link")
    assert result.image_header.frame_id == "camera"
    np.testing.assert_allclose(result.objects.centres, [[0.8, -0.04, 1.053]], atol=0.01)
    axes = Transform.from_quaternion(result.objects.orientations[0], [0, 0, 0]).rotation
    np.testing.assert_allclose(axes[:, 2], [0, 0, 1], atol=1e-9)


@pytest.mark.parametrize("turned", [False, True])
def test_a_tracked_object_has_a_velocity_in_the_frame_of_the_objects(turned):
    """The camera comes nearer by 0.5 m/s; in the target frame its motion is taken out."""
    transforms = FakeTransforms() if turned else None
    setup = Setup(transforms)
    setup.share = 1.0
    for number in range(30):
        stamp, way = Time(sec=100, nanosec=number * 33_000_000), 0.5 * number * 0.033
        if turned:
            transforms.place = [way, 0, 1]
        setup.info()
        setup.send_depth(setup.depth - np.float32(way), stamp=stamp)
        setup.result(setup.send(stamp=stamp))
    (first, _), *_, (last, _) = setup.outputs.published
    assert first.track_ids.tolist() == last.track_ids.tolist() == [5]
    assert last.instances.class_names == ("crate",)
    assert np.isnan(first.moving.velocities).all()
    expected = [[0, 0, 0]] if turned else [[0, 0, -0.5]]
    np.testing.assert_allclose(last.moving.velocities, expected, atol=0.04)


def test_the_size_of_a_tracked_object_is_held_while_less_of_it_is_seen():
    setup = Setup()
    setup.share = 1.0
    setup.serve()
    setup.share = 0.5
    setup.mask[:, 35:] = False
    setup.result(setup.send())
    (whole, _), (half, _) = setup.outputs.published
    assert whole.objects.sizes[0, 0] > 0.35
    np.testing.assert_array_equal(half.objects.sizes, whole.objects.sizes)


def test_rough_centres_are_known_as_soon_as_depth_is_there():
    setup = Setup()
    instances = setup.found()
    frame = setup.send()
    assert setup.measuring.rough_centres(frame, instances) is None
    setup.send_depth()
    assert setup.measuring.rough_centres(frame, instances) is None  # no calibration
    setup.info()
    [centre] = setup.measuring.rough_centres(frame, instances)
    np.testing.assert_allclose(centre, [0.04, -0.053, 0.8], atol=0.02)
    setup.info(width=640)  # which is told when the objects are measured
    assert setup.measuring.rough_centres(frame, instances) is None and not setup.logger.lines
    frame.depth = None
    assert setup.measuring.rough_centres(frame, instances) is None


def test_a_missing_transform_costs_the_objects_one_line():
    transforms = FakeTransforms()
    setup = Setup(transforms)
    transforms.error = TransformError("expected a transform, got LookupException: no frame")
    for _ in range(3):
        setup.serve()
    assert not setup.outputs.published and setup.counts["untransformed"] == 3
    assert setup.logger.lines == [f"no objects: {transforms.error}"]
    # Points stay in the camera's frame, and need none.
    setup.outputs.topics = frozenset({"points"})
    setup.serve()
    assert setup.counts["measured"] == 1


@pytest.mark.parametrize(
    "counter, sent, words",
    [
        ("other_frame", {"frame_id": "depth"}, "the frame_id of the image, 'camera', got 'depth'"),
        ("other_frame", {"frame_id": ""}, "got ''"),
        ("other_size", {"depth": np.ones((48, 60), np.float32)}, "expected 64x48 pixels"),
        ("depth_bad", {"depth": np.ones((48, 64, 3), np.uint8), "encoding": "rgb8"}, "'rgb8'"),
        ("depth_zero", {"depth": np.zeros((48, 64), np.float32)}, "zeros alone"),
        ("depth_nan", {"depth": np.full((48, 64), np.nan, np.float32)}, "100% NaN"),
        ("depth_nan", {"depth": np.full((48, 64), -1, np.float32)}, "0% NaN and nothing usable"),
    ],
)
def test_unusable_depth_is_counted_by_its_fault_and_costs_one_line(counter, sent, words):
    setup = Setup()
    for _ in range(3):
        setup.serve(**sent)
    assert not setup.outputs.published
    assert setup.counts == {"depth_received": 3, counter: 3}
    [line] = setup.logger.lines
    assert line.startswith("no objects: depth: expected ") and words in line
    assert words in setup.counters.snapshot().reasons[counter]


def test_unusable_calibrations_are_one_line_for_each_fault():
    setup = Setup()
    setup.result(setup.send())
    assert setup.counts == {"unmatched": 1}
    setup.send_depth()
    setup.result(setup.send())
    assert setup.counts["no_camera_info"] == 1 and not setup.logger.lines
    for number in range(3):
        setup.info(k=[float(number)] + [1e30] * 8)  # a part of it differs each time
        setup.result(setup.send())
    setup.info(width=640, height=480)
    setup.result(setup.send())
    assert setup.counts["uncalibrated"] == 4 and not setup.outputs.published
    assert [line.split(", got")[0] for line in setup.logger.lines] == [
        "no objects: camera_info: camera: expected fx of 1 to 1e+06 pixels",
        "no objects: camera_info: camera: expected fy of 1 to 1e+06 pixels",
        "no objects: camera: expected the calibration of 64x48 pixels as the image has",
    ]
    setup.info()
    setup.result(setup.send())
    assert setup.counts["measured"] == 1


def test_a_calibration_is_read_once(monkeypatch):
    setup = Setup()
    read = []
    from yolact_ros.recordings.images import camera_info

    camera_of = camera_info.camera_of
    monkeypatch.setattr(
        camera_info, "camera_of", lambda *given: (read.append(given), camera_of(*given))[1]
    )
    for _ in range(3):
        setup.serve()
    assert len(read) == 1
    setup.info(k=[61.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0])
    setup.result(setup.send())
    assert len(read) == 2 and setup.counts["measured"] == 4


def test_why_there_is_no_depth_is_told():
    setup = Setup()
    setup.info()
    setup.result(setup.send())
    reason = lambda: setup.counters.snapshot().reasons["unmatched"]  # noqa: E731
    assert reason() == "none came"
    setup.send_depth(stamp=Time(sec=99, nanosec=950_000_000))
    setup.result(setup.send())
    assert reason() == "the nearest is stamped 50 ms earlier (space.max_skew is 0.02 s)"
    setup.result(setup.send(stamp=Time()))
    assert reason() == "the stamps of the images are zero"
    # The depth of the first two comes in the end.
    setup.send_depth()
    assert setup.counts["depth_late"] == 1 and setup.counts["unmatched"] == 3
    assert "20 ms after its image" in setup.counters.snapshot().reasons["depth_late"]


def test_the_largest_skew_may_change():
    setup = Setup()
    values = {spec.name: spec.default for spec in PARAMETERS} | {"space.max_skew": 0.1}
    setup.measuring.apply(Settings.from_values(values))
    setup.serve(stamp=Time(sec=99, nanosec=950_000_000))
    assert setup.counts["measured"] == 1


def test_nothing_is_measured_that_nobody_wants():
    setup = Setup()
    assert setup.measuring.wanted(setup.camera)
    frame = setup.send()
    setup.outputs.topics = frozenset({"instances"})
    assert not setup.measuring.wanted(setup.camera)
    setup.result(frame)
    assert setup.counts == {"not_wanted": 1} and not setup.outputs.published
    # Nor of an image that came before somebody wanted it.
    setup.outputs.topics = frozenset({"objects"})
    frame.depth = None
    setup.result(frame)
    assert setup.counts == {"not_wanted": 1}


def test_what_is_shut_or_fails_is_counted():
    setup = Setup()
    setup.outputs.shut = True
    setup.serve()
    assert setup.counts["space_stopped"] == 1
    setup.measuring._fail(
        SimpleNamespace(camera=setup.camera), RuntimeError("shapes do not fit\nat all")
    )
    assert setup.counts["unmeasured"] == 1
    assert setup.logger.lines == ["no objects: RuntimeError: shapes do not fit"]


def test_a_camera_whose_depth_is_not_needed_any_more_is_forgotten():
    setup = Setup()
    setup.info()
    setup.send_depth()
    setup.measuring.forget(setup.camera)
    setup.result(setup.send())
    assert setup.counts == {"depth_received": 1, "unmatched": 1}
