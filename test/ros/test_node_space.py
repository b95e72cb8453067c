# SPDX-License-Identifier: Apache-2.0
"""Objects in space from a real node over DDS, and what /diagnostics says of bad depth."""

import importlib.util
import math
import os
from array import array

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray
from yolact_ros.msg import InstanceArray, ObjectArray

from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.ros.counters import SPACE_COUNTERS, SPACE_OUTCOMES
from yolact_ros.ros.demo.truth import camera_info
from yolact_ros.ros.diagnostics import values_of
from yolact_ros.scenes import DEPTH_MODELS
from yolact_ros.scenes.scene import Scene
from yolact_ros.space import Camera, objects
from yolact_ros.structures import Instances, PackedMask

pytestmark = [pytest.mark.timeout(240), pytest.mark.paired]

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
FRAME = "camera"


@pytest.fixture(scope="module")
def scene():
    """One picture with its depth in metres and its calibration."""
    return Scene.random(1_000_123, width=320, height=240, depth_model=DEPTH_MODELS["real"]).frame(0)


class RgbdCamera:
    """Sends the same picture again and again, and its depth as each test wants it."""

    def __init__(self, peer, scene, period=0.1):
        self.peer, self.scene, self.period = peer, scene, period
        self.restore()
        self.statuses = []
        self.depth_stamps = []  # ns, of what was sent
        self._number = 0
        self._last = 0  # ns
        self._held = []
        self._images = peer.publisher(Image, "image")
        self._depths = peer.publisher(Image, "depth")
        self._infos = peer.publisher(CameraInfo, "camera_info")
        peer.node.create_subscription(DiagnosticArray, "/diagnostics", self._note, 10)
        peer.node.create_timer(period, self._send)

    def restore(self):
        """Depth as it should be."""
        self.sends_depth = self.sends_info = True
        self.late = 0.0  # seconds that depth comes after its image
        self.skew = 0.0  # seconds that depth is stamped after its image
        self.every = 1  # images for each depth image
        self.swaps = False  # the order of each pair
        self.frame_id = FRAME
        self.depth = self.scene.depth
        self.info = camera_info(self.scene.intrinsics, Header())

    def _note(self, message):
        self.statuses += message.status

    def _send(self):
        now = self.peer.node.get_clock().now()
        if now.nanoseconds - self._last < 0.9e9 * self.period:
            return  # the call before came late: a camera's images would still lie a period apart
        self._last = now.nanoseconds
        header = Header(stamp=now.to_msg(), frame_id=FRAME)
        if self.sends_info:
            self.info.header = header
            self._infos.publish(self.info)
        self._images.publish(array_to_image(self.scene.image, "rgb8", header))
        self._number += 1
        if not self.sends_depth or self._number % self.every:
            return
        stamp = Time(nanoseconds=now.nanoseconds + round(self.skew * 1e9))
        self.depth_stamps.append(stamp.nanoseconds)
        header = Header(stamp=stamp.to_msg(), frame_id=self.frame_id)
        self._held.append(array_to_image(self.depth, "32FC1", header))
        if self.swaps and len(self._held) < 2:
            return
        held, self._held = self._held[::-1], []
        self._after(self.late, lambda: [self._depths.publish(each) for each in held])

    def _after(self, seconds, send):
        if not seconds:
            send()
            return

        def ring():
            self.peer.node.destroy_timer(timer)
            send()

        timer = self.peer.node.create_timer(seconds, ring)

    def hears(self, cause, *levels, words="", timeout=30.0):
        """Waits for a status with the cause, a level and words; returns its values."""
        self.statuses.clear()

        def found():
            return next(
                (
                    status
                    for status in self.statuses
                    if values_of(status)["cause"] == cause
                    and status.level in levels
                    and words in status.message
                ),
                None,
            )

        try:
            return values_of(self.peer.until(found, timeout, what=f"{cause!r}"))
        except AssertionError:
            heard = {(values_of(each)["cause"], each.level, each.message) for each in self.statuses}
            raise AssertionError(f"expected {cause!r} at {levels}, heard {heard}") from None


@pytest.fixture
def camera(peer, scene):
    return RgbdCamera(peer, scene)


def nanoseconds(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def ages_of(peer, messages):
    """Collects the age of each message of a topic when it arrives, ms."""
    ages = []

    def note(message):
        messages.append(message)
        ages.append((peer.node.get_clock().now().nanoseconds - nanoseconds(message)) * 1e-6)

    qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
    peer.node.create_subscription(InstanceArray, "yolact/instances", note, qos)
    return ages


def test_nine_kinds_of_depth_are_told_apart_and_none_delays_the_results(
    start, peer, camera, scene, weights, say
):
    # If results waited for depth that never comes, they would be a second older.
    node = start("yolact_node", space__max_wait=1.0, **weights)
    instances = []
    ages = ages_of(peer, instances)
    node.wait_for("active: ")

    def median_age():
        ages.clear()
        peer.until(lambda: len(ages) >= 9, what="instances")
        return float(np.median(ages))

    camera.hears("segmenting", OK)
    peer.spin(2.0)
    alone = median_age()
    assert peer.node.count_subscribers("/depth") == 0  # nobody wants objects

    found = peer.collect(ObjectArray, "yolact/objects")
    peer.until(lambda: found and found[-1].objects, what="objects")
    camera.hears("segmenting", OK)
    together = {"on time": median_age()}

    def objects_come(what):
        """Of images whose depth was sent, and of no others."""
        peer.spin(0.5)
        found.clear()
        together[what] = median_age()
        peer.until(lambda: len(found) >= 8, what=what)
        for message in found:
            nearest = min(abs(nanoseconds(message) - stamp) for stamp in camera.depth_stamps)
            assert message.objects and nearest <= 20_000_000, what

    def no_objects_come(what):
        peer.spin(0.5)
        found.clear()
        together[what] = median_age()
        assert not found, what

    # 1. Late, but stamped as its image: objects come.
    camera.late = 0.05
    objects_come("late")
    camera.hears("depth late", OK, words="ms after its image")
    camera.restore()

    # 2. Stamped 50 ms off: refused.
    camera.hears("segmenting", OK)
    camera.skew = -0.05
    camera.hears("depth unmatched", WARN, words="the nearest is stamped")
    no_objects_come("stamped off")
    camera.hears("depth unmatched", ERROR, words="no objects for")
    camera.restore()
    camera.hears("segmenting", OK)
    # As far as it is allowed, it is taken.
    camera.skew = 0.015
    objects_come("skewed")
    camera.restore()

    # 3. At half the rate: every other image has objects.
    camera.every = 2
    camera.hears("depth slow", OK, words="depth comes every 0.2 s, images every 0.1 s")
    objects_come("half the rate")
    camera.restore()

    # 4. In another order.
    camera.swaps = True
    camera.hears("depth disordered", OK, words="after one of a later moment")
    objects_come("another order")
    camera.restore()
    camera.hears("segmenting", OK)

    # 5. It stops.
    camera.sends_depth = False
    camera.hears("depth stopped", WARN, words="waiting for depth on /depth: the last came")
    no_objects_come("stopped")
    camera.restore()
    camera.hears("segmenting", OK)

    # 6. Of another size.
    camera.depth = np.ascontiguousarray(scene.depth[:, :-20])
    camera.hears("depth of another size", WARN, words="got 300x240")
    no_objects_come("another size")
    camera.restore()
    camera.hears("segmenting", OK)

    # 7., 8. Without one usable pixel.
    camera.depth = np.zeros_like(scene.depth)
    camera.hears("depth all zeros", WARN, words="zeros alone")
    no_objects_come("zeros")
    camera.depth = np.full_like(scene.depth, np.nan)
    camera.hears("depth all NaN", WARN, ERROR, words="100% NaN")
    no_objects_come("NaN")
    camera.restore()
    camera.hears("segmenting", OK)

    # 9. Of another frame.
    camera.frame_id = "depth_frame"
    camera.hears("depth of another frame", WARN, words="got 'depth_frame'")
    no_objects_come("another frame")
    camera.restore()
    values = camera.hears("segmenting", OK)

    # One line each in the log, although many frames had each fault.
    for words in ("got 300x240", "zeros alone", "100% NaN", "got 'depth_frame'"):
        assert 1 <= len(node.lines(f"no objects: .*{words}")) <= 3, words
    assert node.lines("align_depth.enable:=true")
    assert node.lines(r"WARN.*the nearest is stamped \d\d ms (earlier|later)")
    assert node.lines("WARN.*waiting for depth on /depth")
    # Every result ended in one counter.
    counts = {name: int(values[text]) for name, text in SPACE_COUNTERS.items()}
    for name in ("measured", "unmatched", "other_size", "depth_zero", "depth_nan", "other_frame"):
        assert counts[name] > 0, name
    assert counts["unmeasured"] == 0
    assert sum(counts[name] for name in SPACE_OUTCOMES) > 200
    lines = ", ".join(f"{name} {age:.0f}" for name, age in together.items())
    say(f"median age of ~/instances without objects {alone:.0f} ms, with them: {lines}")
    assert max(together.values()) < alone + 500


def test_depth_is_missing_and_calibrations_are_hostile(start, peer, camera, weights):
    camera.sends_depth = camera.sends_info = False
    node = start("yolact_node", **weights)
    found = []
    subscription = peer.node.create_subscription(
        ObjectArray, "yolact/objects", found.append, QoSProfile(depth=10)
    )
    node.wait_for("active: ")
    camera.hears("no depth", WARN, words="waiting for depth on /depth: none came yet; 1 publisher")
    camera.sends_depth = True
    camera.hears("no camera_info", WARN, ERROR, words="waiting for camera_info on /camera_info")
    camera.sends_info = True
    camera.hears("segmenting", OK)
    peer.until(lambda: found, what="objects")

    good = camera_info(camera.scene.intrinsics, Header())
    for words, changed in (
        ("expected fx of 1 to 1e.06 pixels, got 0", {"k": [0.0] * 9}),
        ("expected fx of 1 to 1e.06 pixels, got 1e.30", {"k": [1e30, *good.k[1:]]}),
        ("expected a finite number for cx, got nan", {"k": [*good.k[:2], np.nan, *good.k[3:]]}),
        ("expected the calibration of 320x240 .*, got 640x480", {"width": 640, "height": 480}),
        ("distortion: .*coefficients", {"d": [1e30, 0.0, 0.0, 0.0, 0.0]}),
        ("distortion: .*coefficients", {"d": [0.1] * 3}),
        ("distortion_model: expected one of", {"d": [0.1] * 5, "distortion_model": "magic"}),
    ):
        camera.info = camera_info(camera.scene.intrinsics, Header())
        for name, value in changed.items():
            setattr(camera.info, name, value)
        camera.hears("camera_info unusable", WARN, ERROR)
        peer.until(lambda: node.lines(f"no objects: .*{words}"), what=words)  # noqa: B023
        found.clear()
        peer.spin(0.3)
        assert not found, changed
    camera.restore()
    camera.hears("segmenting", OK)
    peer.until(lambda: found, what="objects")
    assert node.process.poll() is None and "Traceback" not in node.output

    # When nobody wants objects any more, depth is not even received.
    assert peer.node.count_subscribers("/depth") == peer.node.count_subscribers("/camera_info") == 1
    peer.node.destroy_subscription(subscription)
    for topic in ("/depth", "/camera_info"):  # peers hear of one end after the other
        peer.until(lambda: peer.node.count_subscribers(topic) == 0, what=f"end of {topic}")  # noqa: B023
    peer.collect(InstanceArray, "yolact/instances")
    values = camera.hears("segmenting", OK)
    assert "depth topic" not in values


TF2_ROS = """
import os, pathlib, types

class TransformException(Exception): pass
class LookupException(TransformException): pass

class Buffer:
    def lookup_transform(self, target_frame, source_frame, time, timeout):
        if not pathlib.Path(os.environ["KNOWN"]).exists():
            raise LookupException(f'"{target_frame}" passed to lookupTransform does not exist')
        assert source_frame == "camera" and time.nanoseconds > 0
        vector = types.SimpleNamespace(x=0.0, y=0.0, z=1.5)
        rotation = types.SimpleNamespace(x=-0.5, y=0.5, z=-0.5, w=0.5)
        transform = types.SimpleNamespace(translation=vector, rotation=rotation)
        return types.SimpleNamespace(transform=transform)

class TransformListener:
    def __init__(self, buffer, node, *, spin_thread): pass
    def unregister(self): print("unregistered", flush=True)
"""
"""In the place of tf2_ros, which the tests' ROS does not have."""


def test_objects_in_another_frame(start, peer, camera, weights, tmp_path, monkeypatch):
    known = tmp_path / "known"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "tf2_ros.py").write_text(TF2_ROS)
    paths = [str(tmp_path / "modules"), os.environ["PYTHONPATH"]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("KNOWN", str(known))
    node = start("yolact_node", space__target_frame="base_link", **weights)
    found = peer.collect(ObjectArray, "yolact/objects")
    node.wait_for("active: ")
    camera.hears("no transform", WARN, words='LookupException: "base_link" passed to lookup')
    assert not found and len(node.lines("no objects: expected a transform")) == 1
    known.touch()
    camera.hears("segmenting", OK)
    peer.until(lambda: found and found[-1].objects, what="objects")
    assert found[-1].header.frame_id == "base_link"
    for item in found[-1].objects:
        assert 0.2 < item.pose.pose.position.x < 3  # z of the camera
        turn = item.pose.pose.orientation
        assert abs(turn.x) < 1e-6 and abs(turn.y) < 1e-6  # upright
    assert peer.call(SetBool, "/yolact/enable", data=False).success
    assert peer.node.count_subscribers("/depth") == 0
    peer.call(ChangeState, "/yolact/change_state", transition=Transition(label="cleanup"))
    node.wait_for("unregistered")


def test_a_target_frame_without_tf2_ros_is_refused(start, weights):
    if importlib.util.find_spec("tf2_ros"):
        pytest.skip("there is a tf2_ros")
    node = start("yolact_node", space__target_frame="base_link", **weights)
    node.wait_for("not configured: space.target_frame: expected tf2_ros .* install tf2_ros_py")
    assert "Traceback" not in node.output


def _speed(item):
    linear = item.velocity.twist.linear
    return math.hypot(linear.x, linear.y, linear.z)


def test_all_outputs_agree_with_the_core(start, peer, camera, scene, weights):
    node = start("yolact_node", space__up="[0.0,-0.8,-0.6]", **weights)
    kinds = {
        "instances": InstanceArray,
        "objects": ObjectArray,
        "detections_3d": Detection3DArray,
        "markers": MarkerArray,
        "confidence_map": Image,
    }
    got = {name: peer.collect(kind, f"yolact/{name}") for name, kind in kinds.items()}
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    clouds = peer.collect(PointCloud2, "yolact/points", best_effort)
    node.wait_for("active: ")
    peer.until(lambda: all(got.values()) and clouds, what="outputs")

    def common():
        stamps = [
            {nanoseconds(message) for message in messages}
            for messages in (*(got[name] for name in kinds if name != "markers"), clouds)
        ]
        return set.intersection(*stamps)

    stamp = min(peer.until(common, what="a stamp that all have"))
    [results, measured, detections, confidences, cloud] = [
        next(message for message in messages if nanoseconds(message) == stamp)
        for messages in (
            *(got[name] for name in ("instances", "objects", "detections_3d", "confidence_map")),
            clouds,
        )
    ]
    found = instances_of(results)
    intrinsics = scene.intrinsics
    model = Camera(
        *(intrinsics.width, intrinsics.height, intrinsics.fx, intrinsics.fy),
        *(intrinsics.cx, intrinsics.cy),
    )
    expected = objects(found, scene.depth, model, up=(0.0, -0.8, -0.6))
    assert [item.instance for item in measured.objects] == expected.instances.tolist() != []
    for i, (item, detection) in enumerate(
        zip(measured.objects, detections.detections, strict=True)
    ):
        result = results.instances[item.instance - 1]
        assert (item.class_id, item.class_name) == (result.class_id, result.class_name)
        assert (item.score, item.track_id) == (result.score, result.track_id)
        position, size = item.pose.pose.position, item.size
        np.testing.assert_allclose((position.x, position.y, position.z), expected.centres[i])
        np.testing.assert_allclose((size.x, size.y, size.z), expected.sizes[i])
        np.testing.assert_allclose(item.pose.covariance, expected.covariances[i].reshape(-1))
        assert item.depth_coverage == expected.coverages[i] and item.points == expected.points[i]
        [hypothesis] = detection.results
        assert hypothesis.hypothesis.class_id == str(item.class_id)
        assert hypothesis.pose.pose == item.pose.pose == detection.bbox.center
        assert detection.bbox.size == item.size
        assert detection.id == (str(item.track_id) if item.track_id else "")
    assert measured.header.frame_id == detections.header.frame_id == FRAME
    boxes = [each for each in got["markers"][0].markers if each.type == Marker.CUBE]
    names = [each for each in got["markers"][0].markers if each.text]
    assert got["markers"][0].markers[0].action == Marker.DELETEALL
    assert len(boxes) == len(names) == len(expected)

    # Nothing moves: every thing keeps its number, and after some images it is known to be at rest.
    def resting():
        items = [item for item in got["objects"][-1].objects if item.track_id]
        speeds = np.array([_speed(item) for item in items])
        return len(speeds) and np.isfinite(speeds).all() and speeds.max() < 0.02

    peer.until(resting, what="velocities")
    numbers = [{item.track_id for item in each.objects} - {0} for each in got["objects"]]
    assert len(numbers) > 1 and all(each == numbers[0] != set() for each in numbers)
    values = np.frombuffer(confidences.data, np.uint8).reshape(scene.depth.shape)
    np.testing.assert_array_equal(values, found.confidence_map())

    kind = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("instance", "<u2")]
    assert [field.name for field in cloud.fields] == [*(name for name, _ in kind), "class_id"]
    points = np.frombuffer(cloud.data, np.dtype([*kind, ("class_id", "<u2")]))
    assert (cloud.height, cloud.width, cloud.is_dense) == (1, len(points), True)
    assert np.isfinite(points["x"]).all() and set(points["instance"]) <= set(
        range(1, len(found) + 1)
    )
    pixels = np.rint(model.project(np.stack([points[name] for name in "xyz"], axis=1))).astype(int)
    numbers = found.instance_map()
    np.testing.assert_array_equal(numbers[pixels[:, 1], pixels[:, 0]], points["instance"])
    colours = np.stack([points["rgb"] >> shift & 255 for shift in (16, 8, 0)], axis=1)
    np.testing.assert_array_equal(scene.image[pixels[:, 1], pixels[:, 0]], colours)


def instances_of(message):
    """A message as the core's instances."""
    masks = [
        PackedMask(
            *(item.mask.x_offset, item.mask.y_offset, item.mask.width, item.mask.height),
            *(item.mask.step, np.frombuffer(item.mask.data, np.uint8)),
        )
        for item in message.instances
    ]
    return Instances(
        image_size=(message.image_height, message.image_width),
        boxes=np.zeros((len(masks), 4), np.float32),
        scores=np.array([item.score for item in message.instances], np.float32),
        class_ids=np.array([item.class_id for item in message.instances], np.int64),
        class_names=tuple(item.class_name for item in message.instances),
        packed_masks=tuple(masks),
    )


def test_compressed_depth_of_each_camera(start, peer, scene, weights):
    """Two cameras with the same picture: one has depth in millimetres, one in inverse depth."""
    node = start(
        "yolact_node",
        "-r",
        "rear/depth:=/rear/aligned",
        cameras="[front,rear]",
        depth_transport="compressedDepth",
        space__organized="true",
        **weights,
    )
    millimetres = np.rint(scene.depth * 1000).astype(np.uint16)
    inverse = np.where(scene.depth > 0, 5000 / np.maximum(scene.depth, 0.1), 0).astype(np.uint16)
    packed = {
        "front": ("16UC1; compressedDepth png", millimetres, (0.0, 0.0)),
        "rear": ("32FC1; compressedDepth png", inverse, (5000.0, 0.0)),
    }
    topics = {"front": "front/depth", "rear": "rear/aligned"}
    found = {name: peer.collect(ObjectArray, f"yolact/{name}/objects") for name in packed}
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    clouds = peer.collect(PointCloud2, "yolact/rear/points", best_effort)
    senders = {
        name: (
            peer.publisher(Image, f"{name}/image"),
            peer.publisher(CompressedImage, f"{topics[name]}/compressedDepth"),
            peer.publisher(CameraInfo, f"{name}/camera_info"),
        )
        for name in packed
    }

    def send():
        for name, (images, depths, infos) in senders.items():
            stamp = peer.node.get_clock().now().to_msg()
            header = Header(stamp=stamp, frame_id=f"{name}_frame")
            layout, pixels, numbers = packed[name]
            data = np.array([0, *numbers], "<f4").tobytes()
            data += cv2.imencode(".png", pixels)[1].tobytes()
            depths.publish(CompressedImage(header=header, format=layout, data=array("B", data)))
            infos.publish(camera_info(scene.intrinsics, header))
            images.publish(array_to_image(scene.image, "rgb8", header))

    peer.node.create_timer(0.2, send)
    node.wait_for("active: ")
    peer.until(
        lambda: clouds and all(messages and messages[-1].objects for messages in found.values()),
        what="objects of both cameras",
    )
    for name, messages in found.items():
        assert messages[-1].header.frame_id == f"{name}_frame"
    front, rear = (found[name][-1].objects for name in ("front", "rear"))
    assert len(front) == len(rear)
    for one, other in zip(front, rear, strict=True):
        assert one.pose.pose.position.z == pytest.approx(other.pose.pose.position.z, abs=0.005)
    height, width = scene.depth.shape
    cloud = clouds[-1]
    assert (cloud.height, cloud.width, cloud.is_dense) == (height, width, False)
    assert cloud.header.frame_id == "rear_frame"
    points = np.frombuffer(cloud.data, np.float32).reshape(height, width, 5)
    there = np.isfinite(points[..., 2])
    assert (there == (scene.depth > 0)).mean() > 0.999


def test_an_organised_cloud_of_640x480_reaches_another_process(start, peer, weights):
    """By the shipped profile, which both processes have: 6 MB each, best effort."""
    scene = Scene.random(1_000_124, width=640, height=480).frame(0)
    camera = RgbdCamera(peer, scene, period=0.25)
    node = start("yolact_node", space__organized="true", **weights)
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    clouds = peer.collect(PointCloud2, "yolact/points", best_effort)
    node.wait_for("active: ")
    peer.until(lambda: len(clouds) >= 3, what="clouds")
    before = int(camera.hears("segmenting", OK)[SPACE_COUNTERS["measured"]])
    clouds.clear()
    peer.until(lambda: len(clouds) >= 20, what="clouds")
    came = len(clouds)
    after = int(camera.hears("segmenting", OK)[SPACE_COUNTERS["measured"]])
    # The counters are up to a second older or newer than the clouds.
    assert came >= 0.8 * (after - before) - 5
    assert {(cloud.height, cloud.width, len(cloud.data)) for cloud in clouds} == {
        (480, 640, 6_144_000)
    }
