# SPDX-License-Identifier: Apache-2.0
"""Thousands of hostile messages to the real node: it lives, stays small and serves good frames.

`pytest test/ros/test_node_hostile.py --hostile 10000 -s` is the long form.
"""

import re
import time
from array import array
from pathlib import Path

import cv2
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from yolact_ros.msg import InstanceArray, ObjectArray

from yolact_testing.hostile import (
    hostile_camera_info,
    hostile_compressed,
    hostile_depth,
    hostile_image,
)
from yolact_testing.pictures import noise

MAX_PIXELS = 2_100_000
MOST_MEMORY = 150  # MB above the start
LONGEST = 1.0  # seconds to the answer of a good frame
IN_A_ROW = 10
PICTURE = noise(48, 64, block=8)


def good_frame(compressed):
    if compressed:
        return CompressedImage(
            format="jpeg", data=array("B", cv2.imencode(".jpg", PICTURE)[1].tobytes())
        )
    return Image(width=64, height=48, encoding="rgb8", step=192, data=array("B", PICTURE.tobytes()))


def megabytes(pid, field):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "compressed"])
def test_the_node_outlives_hostile_messages(start, peer, weights, request, say, compressed):
    asked = request.config.getoption("--hostile")
    count = (asked or 80) * 3 // 10 if compressed else (asked or 80)
    transports = {"image_transport": "compressed", "depth_transport": "compressedDepth"}
    node = start(
        *("yolact_node",),
        max_image_pixels=MAX_PIXELS,
        **(transports if compressed else {}),
        **weights,
    )
    kind = CompressedImage if compressed else Image
    suffixes = ("/compressed", "/compressedDepth") if compressed else ("", "")
    results = peer.collect(InstanceArray, "yolact/instances")
    overlays = peer.collect(Image, "yolact/overlay")
    peer.collect(ObjectArray, "yolact/objects")
    images = peer.publisher(kind, "image" + suffixes[0], depth=IN_A_ROW)
    depths = peer.publisher(kind, "depth" + suffixes[1], depth=IN_A_ROW)
    infos = peer.publisher(CameraInfo, "camera_info", depth=IN_A_ROW)
    node.wait_for("active: segmenting /image")
    for publisher in (images, depths, infos):
        peer.until(publisher.get_subscription_count, what="node")
    peer.until(lambda: peer.node.count_publishers("/yolact/overlay"), what="overlay")
    good = good_frame(compressed)

    def answer(number):
        good.header = Header(stamp=Time(sec=1, nanosec=number), frame_id="camera")
        begin = time.monotonic()
        images.publish(good)
        peer.until(
            lambda: results and results[-1].header.stamp.nanosec == number, what=f"frame {number}"
        )
        results.clear()
        overlays.clear()
        return time.monotonic() - begin

    for number in range(5):
        answer(number + 1)
    before = megabytes(node.process.pid, "VmRSS")
    Path(f"/proc/{node.process.pid}/clear_refs").write_text("5")  # forget the peak
    longest = 0.0
    for seed in range(count):
        if compressed:
            images.publish(hostile_compressed(seed, MAX_PIXELS))
            depths.publish(hostile_compressed(seed, MAX_PIXELS, depth=True))
        else:
            images.publish(hostile_image(seed, MAX_PIXELS))
            depths.publish(hostile_depth(seed, MAX_PIXELS))
        infos.publish(hostile_camera_info(seed))
        peer.spin(0.005)
        if seed % IN_A_ROW == IN_A_ROW - 1:
            longest = max(longest, answer(seed + 100))
    peak = megabytes(node.process.pid, "VmHWM") - before
    say(f"{count} hostile messages: {peak:.0f} MB above the start, answers within {longest:.2f} s")
    assert peak < MOST_MEMORY
    assert node.process.poll() is None
    if asked:  # on a machine that does nothing else
        assert longest < LONGEST
    assert not node.lines("Traceback|KeyError")
    assert node.lines("frame skipped: image: expected")
    code, _ = node.interrupt()
    assert code == 0
