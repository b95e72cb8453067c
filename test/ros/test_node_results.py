# SPDX-License-Identifier: Apache-2.0
"""What the node publishes is what the Segmenter finds, bit for bit, in Python and in C++."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo
from yolact_ros.msg import InstanceArray

from yolact_ros.inference import Segmenter
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.scenes.scene import Scene
from yolact_ros.visualization import OverlayStyle, draw_overlay, encode_jpeg

COUNT = 30
SAME = {"device": "cpu", "precision": "fp32"}
"""Of the node and beside it: each measures for itself what "auto" is, and may take another."""
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def segmenter(weights):
    return Segmenter(preset="yolact_demo", weights=weights.get("weights"), **SAME, max_instances=20)


def test_masks_of_30_messages(start, peer, weights, segmenter, tmp_path, decode_in_cpp, say):
    node = start("yolact_node", max_instances=20, **SAME, **weights)
    subscriber = start("decode_subscriber.py", COUNT, tmp_path, profile=False)
    subscriber.wait_for("subscribed")
    maps = peer.collect(Image, "yolact/instance_map")
    images = peer.publisher(Image, "image")
    node.wait_for("active: ")
    peer.until(
        lambda: images.get_subscription_count() and peer.node.count_publishers("/yolact/instances"),
        what="node",
    )
    # Until the node knows both subscribers, it computes nothing for them.
    blank = array_to_image(np.zeros((480, 640, 3), np.uint8), "rgb8", Header())
    timer = peer.node.create_timer(0.3, lambda: images.publish(blank))
    peer.until(lambda: maps and subscriber.lines("heard"), what="both subscribers")
    peer.node.destroy_timer(timer)
    received, maps = maps, []

    def newest_maps():
        maps[:] = [each for each in received if each.header.frame_id]
        return maps

    pictures = []
    for number in range(COUNT):
        scene = Scene.random(2_100_000 + number // 5, width=640, height=480)
        pictures.append(scene.frame(0.2 * (number % 5)).image)
        header = Header(stamp=Time(sec=7, nanosec=number), frame_id=f"camera_{number}")
        images.publish(array_to_image(pictures[-1], "rgb8", header))
        subscriber.wait_for(f"decoded {number + 1}$")
        peer.until(lambda: len(newest_maps()) == number + 1, what="instance map")  # noqa: B023
    assert subscriber.wait_for("finished") == "finished; loaded: []"

    in_cpp = decode_in_cpp([(tmp_path / f"{i}.cdr").read_bytes() for i in range(COUNT)])
    assert len(in_cpp) == COUNT
    instances_seen = pixels_compared = 0
    for number in range(COUNT):
        decoded = np.load(tmp_path / f"{number}.npz")
        assert decoded["stamp"].tolist() == [7, number]
        assert decoded["frame_id"] == f"camera_{number}"
        header = maps[number].header
        assert (header.stamp.sec, header.stamp.nanosec) == (7, number)
        assert header.frame_id == f"camera_{number}"

        [found] = segmenter(pictures[number], channel_order="rgb")
        found = found.without_empty_masks()
        np.testing.assert_array_equal(decoded["masks"], found.masks)
        np.testing.assert_array_equal(decoded["instance_map"], in_cpp[number].instance_map)
        for mask, other in zip(found.packed_masks, in_cpp[number].masks, strict=True):
            assert (mask.x_offset, mask.y_offset) == (other.x_offset, other.y_offset)
            np.testing.assert_array_equal(mask.to_array(), other.pixels)

        published = np.frombuffer(maps[number].data, np.uint16).reshape(480, 640)
        alone = decoded["masks"].sum(axis=0) == 1
        owner = decoded["masks"].argmax(axis=0) + 1 if len(found) else np.zeros_like(published)
        np.testing.assert_array_equal(published[alone], owner[alone])
        np.testing.assert_array_equal(published == 0, ~decoded["masks"].any(axis=0))
        np.testing.assert_array_equal(published, decoded["instance_map"])
        instances_seen += len(found)
        pixels_compared += int(alone.sum())
    say(f"{instances_seen} instances, {pixels_compared} pixels that belong to one alone")
    assert instances_seen >= COUNT and pixels_compared > 10_000


def test_other_outputs_agree(start, peer, weights, segmenter):
    style = {"overlay__boxes": "false", "overlay__jpeg_quality": 70}
    node = start("yolact_node", max_instances=20, **SAME, **style, **weights)
    topics = {
        "instances": InstanceArray,
        "detections": Detection2DArray,
        "class_map": Image,
        "overlay": Image,
        "overlay/compressed": CompressedImage,
    }
    got = {name: peer.collect(kind, f"yolact/{name}") for name, kind in topics.items()}
    images = peer.publisher(Image, "image")
    node.wait_for("active: ")
    peer.until(
        lambda: (
            images.get_subscription_count()
            and all(peer.node.count_publishers(f"/yolact/{name}") for name in topics)
        ),
        what="node",
    )
    picture = Scene.random(2_100_003, width=640, height=480).frame(0.0).image
    header = Header(stamp=Time(sec=9, nanosec=1), frame_id="camera")
    peer.spin(0.5)  # every subscriber must be known to the node before the one image comes
    images.publish(array_to_image(picture, "rgb8", header))
    peer.until(lambda: all(got.values()), what="outputs")
    for messages in got.values():
        assert messages[0].header == header
    [found] = segmenter(picture, channel_order="rgb")
    found = found.without_empty_masks()
    assert len(got["instances"][0].instances) == len(found) > 0
    for item, detection in zip(
        got["instances"][0].instances, got["detections"][0].detections, strict=True
    ):
        assert detection.results[0].hypothesis.class_id == str(item.class_id)
        assert detection.results[0].hypothesis.score == item.score
        assert detection.bbox == item.bbox and detection.id == (
            str(item.track_id) if item.track_id else ""
        )
    track_ids = np.array([item.track_id for item in got["instances"][0].instances])
    assert sorted(track_ids[track_ids > 0]) == list(range(1, np.count_nonzero(track_ids) + 1)) != []
    classes = np.frombuffer(got["class_map"][0].data, np.uint8).reshape(480, 640)
    np.testing.assert_array_equal(classes, found.class_map())
    overlay = got["overlay"][0]
    assert overlay.encoding == "bgr8"
    expected = draw_overlay(picture[..., ::-1], found, OverlayStyle(boxes=False), track_ids)
    np.testing.assert_array_equal(np.frombuffer(overlay.data, np.uint8), expected.reshape(-1))
    assert got["overlay/compressed"][0].data.tobytes() == encode_jpeg(expected, 70)

    # The class list reaches who comes late.
    latched = QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
    labels = peer.collect(LabelInfo, "yolact/label_info", latched)
    peer.until(lambda: labels, what="class list")
    listed = {item.class_id: item.class_name for item in labels[0].class_map}
    assert listed == dict(enumerate(DEMO_CLASSES))
