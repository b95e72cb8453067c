# SPDX-License-Identifier: Apache-2.0
"""Subscribers, publishers and states that come and go."""

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import GetState
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from yolact_ros.msg import InstanceArray

from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.ros.counters import COUNTERS
from yolact_ros.ros.diagnostics import values_of

pytestmark = pytest.mark.timeout(180)

STAGES = (
    *("arrival", "wait", "convert", "preprocess", "network", "decode", "masks"),
    *("message", "publish", "processing", "total", "age"),
)


class Camera:
    """Publishes a grey image ten times a second while the peer spins."""

    def __init__(self, peer, reliable):
        self._peer = peer
        self._publisher = peer.publisher(Image, "image", reliable=reliable)
        self._timer = peer.node.create_timer(0.1, self._publish)

    def _publish(self):
        header = self._header()
        self._publisher.publish(array_to_image(np.full((48, 64, 3), 99, np.uint8), "bgr8", header))

    def _header(self):
        return Header(stamp=self._peer.node.get_clock().now().to_msg(), frame_id="camera")

    def vanish(self):
        self._peer.node.destroy_timer(self._timer)
        self._peer.node.destroy_publisher(self._publisher)


def test_nothing_is_computed_for_nobody_and_the_camera_may_change(start, peer, weights):
    node = start("yolact_node", **weights)
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics", 10)
    node.wait_for("active: segmenting /image")
    line = node.wait_for("waiting for images")
    assert "sensor_msgs/msg/Image" in line and "/image: nobody publishes there" in line
    peer.until(lambda: diagnostics and diagnostics[-1].status[0].level == DiagnosticStatus.WARN)

    # A camera, but nobody who wants a result.
    camera = Camera(peer, reliable=True)
    peer.until(
        lambda: int(values_of(diagnostics[-1].status[0])[COUNTERS["unwanted"]]) >= 5,
        what="idle frames",
    )
    assert values_of(diagnostics[-1].status[0])[COUNTERS["processed"]] == "0"
    peer.until(
        lambda: reliabilities(peer) == [ReliabilityPolicy.RELIABLE], what="reliable subscription"
    )

    # Somebody wants one.
    results = peer.collect(InstanceArray, "yolact/instances")
    peer.until(lambda: len(results) >= 5, what="results")
    peer.until(
        lambda: (
            diagnostics[-1].status[0].level == DiagnosticStatus.OK
            and int(values_of(diagnostics[-1].status[0])[COUNTERS["processed"]]) >= 5
        ),
        what="diagnostics of a running node",
    )
    shown = values_of(diagnostics[-1].status[0])
    assert shown["preset"] == "yolact_demo" and shown["device"] == "cpu"
    for stage in STAGES:
        assert float(shown[f"{stage} p50 (ms)"]) <= float(shown[f"{stage} p95 (ms)"])
    assert "overlay p50 (ms)" not in shown  # nobody wants it, so it is not drawn

    # The camera vanishes, and comes back with another reliability.
    camera.vanish()
    peer.until(lambda: "waiting" in diagnostics[-1].status[0].message, what="missing camera")
    count = len(results)
    camera = Camera(peer, reliable=False)
    peer.until(lambda: len(results) >= count + 5, what="results of a best-effort camera")
    peer.until(
        lambda: reliabilities(peer) == [ReliabilityPolicy.BEST_EFFORT],
        what="best-effort subscription",
    )

    # Off and on again.
    assert peer.call(SetBool, "/yolact/enable", data=False).success
    assert peer.call(GetState, "/yolact/get_state").current_state.label == "inactive"
    peer.spin(0.3)
    count = len(results)
    peer.spin(1.0)
    assert len(results) == count
    assert peer.call(SetBool, "/yolact/enable", data=True).success
    peer.until(lambda: len(results) >= count + 3, what="results after the pause")
    assert "Traceback" not in node.output and not node.lines("ERROR")


def test_a_killed_camera_is_soon_forgotten(start, peer, weights):
    camera = start("demo_camera", rate=5.0)
    node = start("yolact_node", **weights)
    statuses = peer.collect(DiagnosticArray, "/diagnostics", 10)
    peer.collect(InstanceArray, "yolact/instances")

    def hears(cause):
        return statuses and values_of(statuses[-1].status[0])["cause"] == cause

    peer.until(lambda: hears("segmenting"), what="results")
    camera.process.kill()
    # With the shipped profile; by default a killed process is taken for alive for 20 s.
    peer.until(lambda: hears("no publisher"), timeout=15, what="missing camera")
    assert "nobody publishes there" in node.wait_for("waiting for images.*nobody", timeout=40)


def test_enable_starts_a_node_that_waits(start, peer, weights):
    node = start("yolact_node", autostart="false", max_image_age="0.5", **weights)
    node.wait_for("waiting to be configured")
    response = peer.call(SetBool, "/yolact/enable", data=True)
    assert response.success, response.message
    results = peer.collect(InstanceArray, "yolact/instances")
    images = peer.publisher(Image, "image")
    peer.until(
        lambda: images.get_subscription_count() and peer.node.count_publishers("/yolact/instances"),
        what="node",
    )
    peer.spin(0.5)
    picture = np.zeros((48, 64, 3), np.uint8)
    now = peer.node.get_clock().now().to_msg()
    old = type(now)(sec=now.sec - 60, nanosec=now.nanosec)
    images.publish(array_to_image(picture, "rgb8", Header(stamp=old)))
    assert "at most 0.5 s old" in node.wait_for("frame skipped")
    sent = []
    for _ in range(10):  # one is lost if the node subscribes anew just then
        if not results:
            sent.append(peer.node.get_clock().now().to_msg())
            images.publish(array_to_image(picture, "rgb8", Header(stamp=sent[-1])))
            peer.spin(0.5)
    assert results[0].header.stamp in sent


def reliabilities(peer):
    """Of the node's subscriptions; two or none while one is made anew."""
    return [
        info.qos_profile.reliability
        for info in peer.node.get_subscriptions_info_by_topic("/image")
        if info.node_name == "yolact"
    ]
