# SPDX-License-Identifier: Apache-2.0
"""Quality of service: who is heard, who hears, and what is said where two do not fit."""

import itertools

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo
from yolact_ros.msg import InstanceArray, ObjectArray

from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.ros.counters import COUNTERS
from yolact_ros.ros.diagnostics import values_of

pytestmark = pytest.mark.timeout(180)

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL
PAIRS = tuple(itertools.product((RELIABLE, BEST_EFFORT), (VOLATILE, LATCHED)))


def profile(reliability, durability, depth=1, **more):
    return QoSProfile(depth=depth, reliability=reliability, durability=durability, **more)


def picture(name):
    return array_to_image(np.zeros((48, 64, 3), np.uint8), "rgb8", Header(frame_id=name))


def test_a_camera_is_heard_whatever_it_offers_and_after_every_change(start, peer, weights):
    node = start("yolact_node", **weights)
    node.wait_for("active: ")
    results = peer.collect(InstanceArray, "yolact/instances")
    for number, pair in enumerate((*PAIRS, *PAIRS[::-1])):
        images = peer.node.create_publisher(Image, "image", profile(*pair))
        name = f"camera {number}"
        # One that is latched may have come long ago: it publishes once, before anybody hears it.
        images.publish(picture(name))
        timer = None
        if pair[1] == VOLATILE or pair[0] == BEST_EFFORT:
            timer = peer.node.create_timer(0.1, lambda: images.publish(picture(name)))  # noqa: B023
        peer.until(lambda: results and results[-1].header.frame_id == name, what=name)  # noqa: B023
        if timer is not None:
            peer.node.destroy_timer(timer)
        peer.node.destroy_publisher(images)
    assert not node.lines("offers|WARN.*qos|Traceback|New publisher")

    # A calibration that was published once is heard by who asks later.
    calibration = peer.node.create_publisher(CameraInfo, "camera_info", profile(RELIABLE, LATCHED))
    projection = [50.0, 0.0, 32.0, 0.0, 0.0, 50.0, 24.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    matrix = [50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0]
    calibration.publish(CameraInfo(width=64, height=48, k=matrix, p=projection))
    images, depth = (peer.publisher(Image, name) for name in ("image", "depth"))
    objects = peer.collect(ObjectArray, "yolact/objects")

    def publish():
        stamp = peer.node.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id="camera")
        images.publish(array_to_image(np.zeros((48, 64, 3), np.uint8), "rgb8", header))
        depth.publish(array_to_image(np.ones((48, 64), np.float32), "32FC1", header))

    peer.node.create_timer(0.2, publish)
    peer.until(lambda: objects, what="objects")


def test_no_frame_is_lost_or_taken_twice_when_it_is_subscribed_anew(start, peer, weights):
    # The queue is long, so that a busy machine costs no frame either.
    node = start("yolact_node", **{"qos_overrides./image.subscription.depth": 100}, **weights)
    node.wait_for("active: ")
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics", 10)
    camera = peer.node.create_publisher(Image, "image", profile(RELIABLE, VOLATILE, depth=100))

    def asked():
        subscriptions = peer.node.get_subscriptions_info_by_topic("/image")
        return [info.qos_profile.reliability for info in subscriptions]

    peer.until(lambda: asked() == [RELIABLE], what="reliable subscription")
    peer.spin(0.5)
    sent = []

    def publish():
        sent.append(camera.publish(picture("camera")))

    timer = peer.node.create_timer(0.1, publish)
    peer.until(lambda: len(sent) >= 10, what="frames")
    another = peer.node.create_publisher(Image, "image", profile(BEST_EFFORT, VOLATILE))
    peer.until(lambda: asked() == [BEST_EFFORT], what="best-effort subscription")
    peer.node.destroy_publisher(another)
    peer.until(lambda: asked() == [RELIABLE], what="reliable subscription again")
    peer.node.destroy_timer(timer)

    def received():
        return int(values_of(diagnostics[-1].status[0])[COUNTERS["received"]])

    peer.spin(3.0)
    peer.until(lambda: received() >= len(sent), what=f"{received()} of {len(sent)} frames")
    peer.spin(2.5)
    assert received() == len(sent)


def test_who_asks_for_more_than_is_offered_is_told_once(start, peer, weights):
    overrides = {
        "qos_overrides./cam/image.subscription.reliability": "reliable",
        "qos_overrides./yolact/overlay.publisher.durability": "transient_local",
        "qos_overrides./yolact/overlay.publisher.depth": 3,
        "qos_overrides./yolact/instances.publisher.deadline": 500_000_000,
        # Misspelt, of the name before it is remapped, and of another node.
        "qos_overrides./yolact/instance.publisher.depth": 3,
        "qos_overrides./image.subscription.depth": 3,
        "qos_overrides./somewhere/else.publisher.depth": 3,
    }
    node = start("yolact_node", "-r", "image:=/cam/image", **overrides, **weights)
    node.wait_for("active: ")
    for name, meant in (
        ("/yolact/instance.publisher", "/yolact/instances.publisher"),
        ("/image.subscription", "/cam/image.subscription"),
    ):
        [line] = node.lines(f"unknown parameter qos_overrides.{name}")
        assert f"did you mean qos_overrides.{meant}.depth?" in line
    assert not node.lines("somewhere")

    def offered(topic):
        return peer.until(lambda: peer.node.get_publishers_info_by_topic(topic), what=topic)[0]

    assert offered("/yolact/overlay").qos_profile.durability == LATCHED
    assert offered("/yolact/instances").qos_profile.deadline == Duration(nanoseconds=500_000_000)

    # Every pair of a subscriber: data, or the line.
    wanted = {
        "instances": (InstanceArray, RELIABLE, VOLATILE),
        "overlay": (Image, RELIABLE, LATCHED),
        "points": (PointCloud2, BEST_EFFORT, VOLATILE),
        "label_info": (LabelInfo, RELIABLE, LATCHED),
    }
    camera = peer.node.create_publisher(Image, "/cam/image", profile(RELIABLE, VOLATILE))
    peer.node.create_timer(0.2, lambda: camera.publish(picture("camera")))
    heard, fits, lines = {}, {}, 0
    for (topic, (kind, reliable, latched)), pair in itertools.product(wanted.items(), PAIRS):
        heard[topic, pair] = peer.collect(kind, f"/yolact/{topic}", profile(*pair))
        fits[topic, pair] = (reliable, pair[0]) != (BEST_EFFORT, RELIABLE) and (
            latched,
            pair[1],
        ) != (VOLATILE, LATCHED)
    for (topic, pair), fit in fits.items():
        # There is no depth, and the class list was published long ago.
        if fit and topic != "points" and (topic != "label_info" or pair == (RELIABLE, LATCHED)):
            peer.until(lambda key=(topic, pair): heard[key], what=f"{topic}, {pair}")
    for topic, reliability, durability in (
        ("instances", "reliable", "transient_local"),
        ("instances", "best_effort", "transient_local"),
        ("points", "reliable", "volatile"),
        ("points", "reliable", "transient_local"),
        ("points", "best_effort", "transient_local"),
    ):
        asked = f"/test_peer asks for {reliability}, {durability} on /yolact/{topic}, this node"
        peer.until(lambda asked=asked: node.lines(asked), what=asked)
        [line] = node.lines(asked)
        assert "nothing reaches it; let it ask for " in line
        policies = {"durability"} if durability == "transient_local" else set()
        policies |= {"reliability"} if (topic, reliability) == ("points", "reliable") else set()
        named = {part.split(" set to")[0] for part in line.split(f"/yolact/{topic}.publisher.")[1:]}
        assert named == policies
        lines += 1
    peer.spin(1.5)
    assert len(node.lines("nothing reaches it")) == lines == list(fits.values()).count(False)

    # And a publisher that offers less than the override asks for.
    peer.node.destroy_publisher(camera)
    camera = peer.node.create_publisher(Image, "/cam/image", profile(BEST_EFFORT, VOLATILE))
    peer.until(lambda: node.lines("nothing comes from it"), what="line about the camera")
    line = node.lines("nothing comes from it")[0]
    assert (
        "/test_peer offers best_effort, volatile on /cam/image, this node asks for reliable, "
        "volatile: nothing comes from it; start this node with "
        "qos_overrides./cam/image.subscription.reliability set to best_effort, or let it offer "
        "reliability reliable"
    ) in line
    assert "are not heard" not in node.output and not node.lines("New subscription|New publisher")


def test_an_override_that_cannot_be_used_leaves_the_node_unconfigured(start):
    node = start("yolact_node", **{"qos_overrides./diagnostics.publisher.depth": 0})
    line = node.wait_for("ERROR.*not configured: ")
    assert "qos_overrides./diagnostics.publisher.depth: expected an integer of at least 1" in line
