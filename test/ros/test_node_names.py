# SPDX-License-Identifier: Apache-2.0
"""Names are applied once, and what is read is what is said."""

import re

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from yolact_ros.msg import InstanceArray

from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.ros.diagnostics import status_name, values_of
from yolact_ros.ros.matched_subscription import node_name
from yolact_ros.ros.middleware import silence_advice

pytestmark = pytest.mark.timeout(120)


def picture(name):
    return array_to_image(np.zeros((48, 64, 3), np.uint8), "rgb8", Header(frame_id=name))


@pytest.mark.parametrize(
    "cameras, rules, read",
    [
        # Swapped mounts.
        (
            ("front", "rear"),
            ("front/image:=/rear/image", "rear/image:=/front/image"),
            ("/rear/image", "/front/image"),
        ),
        # A rule whose right side is another rule's left side.
        (
            ("a", "b"),
            ("a/image:=/front/image", "/front/image:=/rear/image"),
            ("/front/image", "/b/image"),
        ),
    ],
)
def test_each_camera_reads_what_the_log_and_the_diagnostics_say(
    start, peer, weights, cameras, rules, read
):
    arguments = [part for rule in rules for part in ("-r", rule)]
    node = start("yolact_node", *arguments, cameras=f"[{','.join(cameras)}]", **weights)
    assert node.wait_for("active: segmenting").count(f"segmenting {', '.join(read)} with")
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics", 10)
    publishers = {topic: peer.publisher(Image, topic) for topic in {*read, "/front/image"}}
    results = {name: peer.collect(InstanceArray, f"yolact/{name}/instances") for name in cameras}
    timer = peer.node.create_timer(
        0.2, lambda: [each.publish(picture(topic)) for topic, each in publishers.items()]
    )
    for name, topic in zip(cameras, read, strict=True):
        peer.until(lambda name=name: len(results[name]) >= 2, what=f"results of {name}")
        assert {result.header.frame_id for result in results[name]} == {topic}
        peer.until(
            lambda name=name, topic=topic: any(
                status.name == status_name("/yolact", name)
                and values_of(status)["image topic"] == topic
                and values_of(status)["publishers"] == "1"
                for message in diagnostics
                for status in message.status
            ),
            what=f"status of {name}",
        )
    peer.node.destroy_timer(timer)


JPEG = "sensor_msgs/msg/CompressedImage is published on /cam/image/compressed"


@pytest.mark.parametrize(
    "transport, published, said",
    [
        (
            "raw",
            {"/cam/image/compressed": CompressedImage, "/silent/image": Image},
            {
                # Raw is asked for where compressed images are.
                ("given", "/cam/image/compressed"): "on /cam/image/compressed: 1 publisher found, "
                f"but of sensor_msgs/msg/CompressedImage; {JPEG}: set image_transport to "
                "compressed and remap `given/image` to /cam/image",
                ("base", "/cam/image"): f"on /cam/image: nobody publishes there; {JPEG}: set "
                "image_transport to compressed",
                # Discovered, and silent.
                ("silent", ""): "on /silent/image: 1 publisher found (/test_peer), but no image "
                f"comes; {silence_advice()}",
            },
        ),
        (
            "compressed",
            {"/cam/image/compressed": CompressedImage, "/raw/image": Image},
            {
                # The suffix that is added was given.
                ("given", "/cam/image/compressed"): "on /cam/image/compressed/compressed: nobody "
                "publishes there; /compressed is added to the name: remap `given/image` to "
                "/cam/image",
                # Compressed is asked for where raw images are.
                ("base", "/raw/image"): "on /raw/image/compressed: nobody publishes there; "
                "sensor_msgs/msg/Image is published on /raw/image: set image_transport to raw",
            },
        ),
        # Nothing but other topics, for the only camera.
        (
            "compressed",
            {"/cam/image/compressed": CompressedImage},
            {
                ("", ""): "on /image/compressed: nobody publishes there; published instead: "
                "/cam/image (remap `image` to one of them)"
            },
        ),
    ],
    ids=["raw", "compressed", "one"],
)
def test_the_waiting_line_says_what_is_there_and_what_to_set(
    start, peer, weights, transport, published, said
):
    publishers = [peer.publisher(kind, topic) for topic, kind in published.items()]
    rules = [part for name, topic in said if topic for part in ("-r", f"{name}/image:={topic}")]
    names = ",".join(name for name, _ in said) or '""'
    node = start("yolact_node", *rules, image_transport=transport, cameras=f"[{names}]", **weights)
    for line in said.values():
        node.wait_for(f"waiting for images.* {re.escape(line)}$")
    assert len(publishers) == len(published)


def test_a_node_of_which_nothing_comes_is_not_called_by_rmw_s_placeholder():
    # as Fast DDS has it of a container with the host's network and a /dev/shm of its own
    names = {"node_name": "_NODE_NAME_UNKNOWN_", "node_namespace": "_NODE_NAMESPACE_UNKNOWN_"}
    assert node_name(TopicEndpointInfo(**names)) == "a node whose name does not come through"
    assert node_name(TopicEndpointInfo(node_name="cam", node_namespace="/")) == "/cam"


def test_compressed_images_under_a_rule_of_their_own(start, peer, weights):
    node = start(
        "yolact_node",
        *("-r", "image/compressed:=/cam/jpg"),
        image_transport="compressed",
        **weights,
    )
    assert "segmenting /cam/jpg with" in node.wait_for("active: segmenting")
    images = peer.publisher(CompressedImage, "/cam/jpg")
    peer.until(images.get_subscription_count, what="subscription")


def test_two_publishers_on_one_topic_are_told(start, peer, weights):
    node = start("yolact_node", **weights)
    node.wait_for("active: segmenting")
    peer.collect(InstanceArray, "yolact/instances")
    reliable, best_effort = (peer.publisher(Image, "image", reliable=each) for each in (1, 0))
    sizes = {reliable: (48, 64), best_effort: (60, 80)}

    def publish():
        for publisher, (height, width) in sizes.items():
            pixels = np.zeros((height, width, 3), np.uint8)
            publisher.publish(array_to_image(pixels, "rgb8", Header(frame_id=str(height))))

    peer.node.create_timer(0.2, publish)
    results = peer.collect(
        InstanceArray,
        "yolact/instances",
        QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE),
    )
    # Both are heard, whatever they offer.
    peer.until(lambda: {result.image_height for result in results} == {48, 60}, what="both")
    peer.until(lambda: node.lines("their sizes differ"), what="warning")
    [line] = node.lines("their sizes differ")
    assert "2 publishers on /image (/test_peer, /test_peer)" in line
    assert "(64 x 48, 80 x 60)" in line and "remap all but one" in line
