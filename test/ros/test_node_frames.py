# SPDX-License-Identifier: Apache-2.0
"""Malformed and unusual frames, sent to the real node."""

from array import array

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from yolact_ros.msg import InstanceArray

pytestmark = pytest.mark.timeout(120)


def frame(number, width, height, encoding, step, size, is_bigendian=0):
    header = Header(stamp=Time(sec=1, nanosec=number), frame_id="camera")
    return Image(
        header=header,
        width=width,
        height=height,
        encoding=encoding,
        step=step,
        is_bigendian=is_bigendian,
        data=array("B", bytes(size)),
    )


MALFORMED = [
    ("zero width", (0, 48, "rgb8", 0, 0), "at least 1 x 1 pixels, got 0 x 48"),
    ("zero height", (64, 0, "rgb8", 192, 0), "at least 1 x 1 pixels, got 64 x 0"),
    ("step too small", (64, 48, "rgb8", 100, 4800), "a step of at least 192 bytes .* got 100"),
    ("data too short", (64, 48, "rgb8", 192, 9215), "192 \\* 48 = 9216 bytes .* got 9215"),
    ("data too long", (64, 48, "rgb8", 192, 9217), "192 \\* 48 = 9216 bytes .* got 9217"),
    (
        "unknown encoding",
        (64, 48, "rgb9", 192, 9216),
        "an encoding such as rgb8.* got 'rgb9'; did you mean 'rgb8'",
    ),
    ("odd Bayer width", (63, 48, "bayer_rggb8", 63, 3024), "an even width and height .* 63 x 48"),
    ("odd Bayer height", (64, 47, "bayer_bggr8", 64, 3008), "an even width and height .* 64 x 47"),
    ("one long row", (1000000, 1, "mono8", 1000000, 1000000), "65535 pixels a side, got 1000000 x"),
    (
        "depth",
        (64, 48, "16UC1", 128, 6144),
        "a picture in colour or grey, got 16UC1, a depth image",
    ),
]
GOOD = [(1, 1), (4096, 3), (64, 48)]


def test_malformed_frames_cost_one_line_and_the_next_good_one_is_served(start, peer, weights):
    node = start("yolact_node", **weights)
    results = peer.collect(InstanceArray, "yolact/instances")
    images = peer.publisher(Image, "image", depth=20)
    node.wait_for("active: segmenting /image")
    peer.until(lambda: images.get_subscription_count() and results_connected(peer), what="node")
    number = 0
    for name, fields, text in MALFORMED:
        for _ in range(3):
            images.publish(frame(number := number + 1, *fields))
            peer.spin(0.05)
        images.publish(frame(number := number + 1, 64, 48, "rgb8", 192, 9216))
        peer.until(lambda: results and results[-1].header.stamp.nanosec == number, what=name)
        assert results[-1].header.frame_id == "camera"
        assert len(node.lines(f"frame skipped: image: expected .*{text}")) == 1, name
    assert len(node.lines("frame skipped")) == len(MALFORMED)
    for width, height in GOOD:
        size = 3 * width * height
        images.publish(frame(number := number + 1, width, height, "bgr8", 3 * width, size))
        peer.until(lambda: results[-1].header.stamp.nanosec == number, what=f"{width}x{height}")
        assert (results[-1].image_width, results[-1].image_height) == (width, height)
    # And, once each, that no weights were given and that the stamps are those of a machine's start.
    others = node.lines("no weights given|stamps of its images")
    assert len(others) == 1 + ("weights" not in weights)
    assert len(node.lines("WARN|ERROR")) == len(MALFORMED) + len(others)
    assert node.process.poll() is None


def test_compressed_frames(start, peer, weights):
    node = start("yolact_node", "-r", "image:=/front/rgb", image_transport="compressed", **weights)
    results = peer.collect(InstanceArray, "yolact/instances")
    images = peer.publisher(CompressedImage, "/front/rgb/compressed")
    node.wait_for("active: segmenting /front/rgb/compressed")
    peer.until(lambda: images.get_subscription_count() and results_connected(peer), what="node")
    picture = np.full((48, 64, 3), 90, np.uint8)
    jpeg = array("B", cv2.imencode(".jpg", picture)[1].tobytes())
    for number, data in enumerate([array("B", b"no picture"), jpeg], start=1):
        header = Header(stamp=Time(sec=1, nanosec=number))
        images.publish(CompressedImage(header=header, format="jpeg", data=data))
        peer.spin(0.2)
    peer.until(lambda: results and results[-1].header.stamp.nanosec == 2, what="result")
    assert (results[-1].image_width, results[-1].image_height) == (64, 48)
    node.wait_for("frame skipped: image: expected a JPEG or PNG picture, got 10 bytes")


def results_connected(peer):
    return peer.node.count_publishers("/yolact/instances") > 0
