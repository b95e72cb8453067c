# SPDX-License-Identifier: Apache-2.0
"""The examples for objects in space, beside a real node and the demo's camera over DDS."""

import sys

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Float64
from vision_msgs.msg import LabelInfo
from yolact_ros.msg import InstanceArray, ObjectArray

from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.structures import BACKGROUND_CLASS
from yolact_testing.examples import EXAMPLES

yaml = pytest.importorskip("yaml")

CLASS = "can"
"""One of it, all visible, is in the demo's first scene."""


def stamp_of(message):
    return (message.header.stamp.sec, message.header.stamp.nanosec)


def vector(point):
    return np.array([point.x, point.y, point.z])


@pytest.mark.timeout(300)
def test_grasps_obstacles_and_the_semantic_layers_topics(start, start_command, peer, weights, say):
    others = ", ".join(name for name in DEMO_CLASSES if name != CLASS)
    camera = {"width": 320, "height": 240, "rate": 5.0, "loop_frames": 10, "scene_seconds": 0.0}
    start("demo_camera", **camera, publish_truth="true")
    node = start("yolact_node", space__organized="true", precision="fp32", **weights)
    node.wait_for("active: ", 120.0)
    asked = {"class_name": CLASS, "max_width": 0.2, "max_age": 30.0}
    arguments = [part for name, value in asked.items() for part in ("-p", f"{name}:={value}")]
    listener = start_command(
        [sys.executable, EXAMPLES / "grasp_listener.py", "--ros-args", *arguments]
    )
    feeder = start_command(
        [sys.executable, EXAMPLES / "costmap_feeder.py", "--ros-args", "-p", f"ignored:=[{others}]"]
    )
    labeller, masker = (
        start_command([sys.executable, EXAMPLES / name, "--ros-args", "-p", f"class_name:={CLASS}"])
        for name in ("label_image.py", "object_mask.py")
    )

    # Objects: the grasp and the obstacle are where the can is.
    truths = peer.collect(ObjectArray, "truth_objects")
    grasps = peer.collect(PoseStamped, "grasp")
    widths = peer.collect(Float64, "grasp_width")
    obstacles = peer.collect(PointCloud2, "costmap_feeder/points")

    def together(*topics):
        """The messages of the newest stamp that all topics have."""
        found = [{stamp_of(message): message for message in topic} for topic in topics]
        common = set.intersection(*map(set, found))
        return [messages[max(common)] for messages in found] if common else None

    truth, grasp, obstacle = peer.until(
        lambda: widths and together(truths, grasps, obstacles),
        60.0,
        what=f"truth, grasp and obstacle of one image; {listener.output}",
    )
    [true] = [item for item in truth.objects if item.class_name == CLASS]
    assert grasp.header.frame_id == obstacle.header.frame_id == "camera_optical_frame"
    off = np.linalg.norm(vector(grasp.pose.position) - vector(true.pose.pose.position))
    assert off < 0.015
    narrow = min(true.size.x, true.size.y)
    assert narrow < widths[-1].data < 0.2
    points = np.frombuffer(obstacle.data, "<f4").reshape(-1, 3)
    assert len(points) == obstacle.width > 0
    # of the can alone, if something else was taken for one
    centre, size = vector(true.pose.pose.position), vector(true.size)
    near = points[np.linalg.norm(points - centre, axis=1) < np.linalg.norm(size)]
    assert np.linalg.norm((near.min(axis=0) + near.max(axis=0)) / 2 - centre) < 0.015
    assert (np.ptp(near, axis=0) > 0.9 * size).all()
    say(
        f"grasp {off * 1000:.1f} mm off, opening {widths[-1].data * 1000:.0f} mm, {len(points)} pts"
    )

    # The semantic layer's topics, received as the layer receives them.
    text = (EXAMPLES / "nav2_semantic_layer.yaml").read_text()
    parameters = yaml.safe_load(text)["local_costmap"]["local_costmap"]["ros__parameters"]
    source = parameters["semantic_layer"]["camera"]
    latched = QoSProfile(depth=5, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    labels = peer.collect(LabelInfo, source["labels_topic"], latched)
    topics = [
        peer.collect(kind, source[name], qos_profile_sensor_data)
        for name, kind in (
            ("segmentation_topic", Image),
            ("confidence_topic", Image),
            ("pointcloud_topic", PointCloud2),
        )
    ]
    classes, confidence, cloud = peer.until(
        lambda: labels and together(*topics), 60.0, what="maps, points and classes"
    )
    sides = (240, 320)
    for message in (classes, confidence, cloud):
        assert (message.height, message.width) == sides
        assert message.header.frame_id == "camera_optical_frame"
    ids, scores = (np.frombuffer(image.data, "u1") for image in (classes, confidence))
    assert len(ids) == len(scores) == 240 * 320
    known = {item.class_id: item.class_name for item in labels[0].class_map}
    assert set(ids.tolist()) - {BACKGROUND_CLASS} <= set(known)
    assert CLASS in {known[k] for k in set(ids.tolist()) - {BACKGROUND_CLASS}}
    np.testing.assert_array_equal(scores == 0, ids == BACKGROUND_CLASS)
    z = np.frombuffer(cloud.data, "u1").reshape(-1, cloud.point_step)[:, 8:12].copy().view("<f4")
    assert np.isfinite(z[ids == list(known.values()).index(CLASS)]).mean() > 0.8

    # Labels and the mask are of the same masks and tracks.
    topics = [
        peer.collect(InstanceArray, "yolact/instances"),
        peer.collect(Image, "label_image/image"),
        peer.collect(Image, "object_mask/segmentation"),
    ]
    found, labels, mask = peer.until(
        lambda: together(*topics), 60.0, what=f"labels and mask; {labeller.output}, {masker.output}"
    )
    assert (labels.encoding, mask.encoding) == ("32SC1", "mono8")
    labels = np.frombuffer(labels.data, "<i4").reshape(sides)
    mask = np.frombuffer(mask.data, "u1").reshape(sides)
    tracks = {item.track_id: item.class_name for item in found.instances if item.track_id}
    assert set(labels.reshape(-1).tolist()) - {0} <= set(tracks) != set()
    [can] = {number for number in set(labels[mask == 255].tolist()) if tracks.get(number) == CLASS}
    assert (labels[mask == 255] == can).mean() > 0.9 and set(mask.reshape(-1)) == {0, 255}

    for example in (listener, feeder, labeller, masker):
        code, _ = example.interrupt()
        assert code == 0 and "Traceback" not in example.output, example.output
