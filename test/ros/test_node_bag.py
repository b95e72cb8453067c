# SPDX-License-Identifier: Apache-2.0
"""A bag that `yolact-ros bag` writes holds what a node publishes for the same images."""

import pytest

pytest.importorskip("rosbags")

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray, LabelInfo
from yolact_ros.msg import InstanceArray, ObjectArray

from yolact_ros.cli.main import main
from yolact_ros.recordings.bags.types import result_types
from yolact_testing.bags import DEPTH, IMAGE, INFO, read_bag, recorded, write_bag

pytestmark = [pytest.mark.timeout(240), pytest.mark.paired]

COUNT = 4
MESSAGES = {IMAGE: Image, DEPTH: Image, INFO: CameraInfo}
RESULTS = {
    "instances": InstanceArray,
    "detections": Detection2DArray,
    "objects": ObjectArray,
    "overlay/compressed": CompressedImage,
}


def test_the_bag_holds_what_the_node_publishes(start, peer, weights, tmp_path):
    recording = write_bag(tmp_path / "recording", recorded(COUNT))
    same = weights | {"device": "cpu", "precision": "fp32"}
    options = [f"--{name}={value}" for name, value in same.items()]
    assert main(["bag", str(recording), str(tmp_path / "out"), "--track", *options]) == 0
    written = {name: [] for name in (*RESULTS, "label_info")}
    for topic, _, data in read_bag(tmp_path / "out"):
        written[topic.removeprefix("/yolact/")].append(data)

    node = start("yolact_node", **same)
    published = {name: peer.collect(kind, f"yolact/{name}") for name, kind in RESULTS.items()}
    latched = QoSProfile(
        depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
    )
    labels = peer.collect(LabelInfo, "yolact/label_info", latched)
    sending = {
        topic: peer.publisher(kind, topic.rpartition("/")[2].removesuffix("_raw"))
        for topic, kind in MESSAGES.items()
    }
    node.wait_for("active: ")
    peer.until(
        lambda: (
            all(publisher.get_subscription_count() for publisher in sending.values())
            and all(peer.node.count_publishers(f"/yolact/{name}") for name in published)
        ),
        what="node",
    )
    peer.spin(0.5)  # every subscriber must be known to the node before the first image comes
    for topic, _, data in read_bag(recording):
        if topic == IMAGE:
            peer.spin(0.3)  # its depth and its calibration have come
        sending[topic].publish(deserialize_message(data, MESSAGES[topic]))
        if topic == IMAGE:
            count = len(published["instances"]) + 1
            peer.until(
                lambda: all(len(got) == count for got in published.values()),  # noqa: B023
                what="results",
            )

    store = result_types()
    for name, kind in RESULTS.items():
        assert len(written[name]) == len(published[name]) == COUNT
        type_name = f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
        for ours, message in zip(written[name], published[name], strict=True):
            # what fills the gaps between fields may be anything in the middleware's bytes
            theirs = store.deserialize_cdr(serialize_message(message), type_name)
            assert bytes(store.serialize_cdr(theirs, type_name)) == ours, name
    [ours] = (deserialize_message(data, LabelInfo) for data in written["label_info"])
    ours.header = labels[0].header  # the time at which the node started
    assert ours == labels[0]
    assert any(item.track_id for item in published["instances"][-1].instances)
    assert len(published["objects"][-1].objects) > 1
