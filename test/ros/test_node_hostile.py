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


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("streams", [("image",), ("image", "overlay", "depth")])
@pytest.mark.parametrize("cameras, size", [(3, (2160, 3840)), (1, (4320, 7680))])
def test_the_largest_images_of_several_cameras_are_bounded(
    start, peer, weights, request, say, cameras, size, streams
):
    """The bound of docs/images.md: 12 bytes a pixel allowed for each stream and once more.

    And 64 MB of freed blocks below 32 MB, which malloc keeps.
    """
    if not request.config.getoption("--hostile"):
        pytest.skip("gigabytes of images: run it with --hostile 1")
    height, width = size
    names = [f"camera{number}" for number in range(cameras)]
    node = start(
        "yolact_node", cameras=f"[{','.join(names)}]", max_image_pixels=height * width, **weights
    )
    node.wait_for("active: ")
    results = {name: peer.collect(InstanceArray, f"yolact/{name}/instances") for name in names}
    for name in names:
        if "overlay" in streams:
            peer.collect(Image, f"yolact/{name}/overlay")
        if "depth" in streams:
            peer.collect(ObjectArray, f"yolact/{name}/objects")
    publishers = {
        (name, topic): peer.publisher(Image, f"{name}/{topic}", depth=1)
        for name in names
        for topic in {"image", "depth"} & set(streams)
    }
    for publisher in publishers.values():
        peer.until(publisher.get_subscription_count, timeout=20.0, what="node")
    small = {"width": 64, "height": 48, "encoding": "rgb8", "step": 192}
    for name in names:
        publishers[name, "image"].publish(Image(**small, data=array("B", PICTURE.tobytes())))
        peer.until(lambda name=name: results[name], what="a small image's result")
    pid = node.process.pid
    before = megabytes(pid, "VmRSS")
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    largest = Image(width=width, height=height, encoding="bgra8", step=4 * width)
    largest.data = array("B", bytes(4 * width * height))
    depth = Image(width=width, height=height, encoding="32FC1", step=4 * width)
    depth.data = array("B", bytes(4 * width * height))
    for number in range(1, 4):
        for name in names:
            results[name].clear()
        for name in names:
            header = Header(stamp=Time(sec=number), frame_id="camera")
            largest.header = depth.header = header
            publishers[name, "image"].publish(largest)
            if "depth" in streams:
                publishers[name, "depth"].publish(depth)
        peer.until(lambda: all(results.values()), timeout=240.0, what="results of large images")
    peak = megabytes(pid, "VmHWM") - before
    most = 12 * height * width * (len(streams) * cameras + 1) / 2**20 + 64
    what = f"{cameras} cameras of {width}x{height}, {', '.join(streams)}"
    say(f"{what}: {peak:.0f} MB above the start, at most {most:.0f}")
    assert peak < most
    code, _ = node.interrupt()
    assert code == 0
