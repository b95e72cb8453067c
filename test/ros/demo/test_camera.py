# SPDX-License-Identifier: Apache-2.0
"""The synthetic camera as a process."""

from itertools import pairwise

import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from yolact_ros.msg import InstanceArray, ObjectArray

from yolact_ros.masks import instance_map
from yolact_ros.ros.demo.camera import FIRST_SEED
from yolact_ros.ros.run import WRONG_START
from yolact_ros.scenes.scene import Scene

pytestmark = pytest.mark.timeout(60)
TOPICS = {"image": Image, "depth": Image, "camera_info": CameraInfo, "truth": InstanceArray}


def stamp(message):
    return message.header.stamp.sec, message.header.stamp.nanosec


@pytest.mark.alone  # no frame may be lost
def test_everything_of_one_frame_belongs_together(start, peer):
    got = {name: peer.collect(kind, name) for name, kind in TOPICS.items()}
    camera = start(
        "demo_camera", width=320, height=240, rate=20.0, seed=5, publish_truth="true", loop_frames=3
    )
    peer.until(lambda: min(map(len, got.values())) >= 8, what="frames")
    assert camera.lines("filming 320 x 240 at 20 Hz")
    by_stamp = [{stamp(message): message for message in messages} for messages in got.values()]
    common = sorted(set.intersection(*map(set, by_stamp)))
    assert len(common) >= 6
    scene = Scene.random(FIRST_SEED + 5, width=320, height=240)
    frames = [scene.frame(i / 20) for i in range(3)]
    places = []
    for key in common:
        image, depth, info, truth = (messages[key] for messages in by_stamp)
        assert {message.header.frame_id for message in (image, depth, info, truth)} == {
            "camera_optical_frame"
        }
        assert (image.encoding, depth.encoding) == ("rgb8", "32FC1")
        pixels = np.frombuffer(image.data, np.uint8).reshape(240, 320, 3)
        [place] = [i for i, frame in enumerate(frames) if np.array_equal(frame.image, pixels)]
        places.append(place)
        metres = np.frombuffer(depth.data, np.float32).reshape(240, 320)
        np.testing.assert_array_equal(metres, frames[place].depth)
        assert (info.width, info.height) == (320, 240)
        assert len(truth.instances) == len(frames[place].objects)
        np.testing.assert_array_equal(instance_map(truth) > 0, frames[place].instance_map > 0)
    boxes = peer.collect(ObjectArray, "truth_objects")
    got["truth"].clear()
    peer.until(lambda: len(boxes) >= 2, what="boxes")
    assert len(got["truth"]) > 4 * (len(boxes) - 1)
    assert {stamp(message) for message in boxes[:-1]} <= {stamp(each) for each in got["truth"]}
    # To and fro: neighbours in time are neighbours in the loop.
    assert {abs(a - b) for a, b in pairwise(places)} == {1}


def test_scenes_change_and_truth_is_published_on_request_only(start, peer):
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    images = peer.collect(Image, "image", qos)
    start(
        "demo_camera",
        width=64,
        height=48,
        rate=10.0,
        scenes="lanes",
        scene_seconds=0.3,
        reliability="best_effort",
    )
    peer.until(lambda: len(images) >= 9, what="frames")
    [info] = peer.node.get_publishers_info_by_topic("/image")
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert peer.node.count_publishers("/truth") == 0
    first_frames = [
        Scene.lanes(FIRST_SEED + number, width=64, height=48).frame(0.0).image
        for number in range(3)
    ]
    seen = [np.frombuffer(image.data, np.uint8).reshape(48, 64, 3) for image in images]
    for frame in first_frames[1:]:
        assert any(np.array_equal(frame, image) for image in seen)


def test_wrong_parameters_end_it_with_one_line(start):
    camera = start("demo_camera", rate="-3.0", width=7)
    assert camera.process.wait(20) == WRONG_START
    lines = camera.output.splitlines()
    assert len(lines) == 1 and "width: expected an integer from 32 to 4096, got 7" in lines[0]
    assert "rate: expected a number from 0.1 to 240, got -3.0" in lines[0]
