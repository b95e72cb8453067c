# SPDX-License-Identifier: Apache-2.0
"""A camera that is killed and comes back as another one."""

import os
import signal

import numpy as np
import pytest
from yolact_ros.msg import InstanceArray

pytestmark = [pytest.mark.timeout(600), pytest.mark.paired]

LONGEST = 1.5
"""Seconds from the first frame that reaches the node to its result."""


def test_each_camera_that_comes_back_is_served_at_once(start, peer, weights, say):
    """YOLACT_RESTARTS=50 kills and starts it as many times."""
    count = int(os.environ.get("YOLACT_RESTARTS", "3"))
    node = start("yolact_node", **weights)
    node.wait_for("active: ")
    results = {}  # of each camera: its stamps, and when they came

    def on_result(message):
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        now = peer.node.get_clock().now().nanoseconds * 1e-9
        results.setdefault(message.header.frame_id, []).append((stamp, now))

    peer.node.create_subscription(InstanceArray, "yolact/instances", on_result, 10)
    after_frame, after_start = [], []
    # Each is started while the one before it is filming.
    following = start("changing_camera.py", 0, profile=False)
    for number in range(count):
        camera = following
        camera.wait_for("ready")
        following = start("changing_camera.py", number + 1, profile=False)
        begun = peer.node.get_clock().now().nanoseconds * 1e-9
        camera.process.send_signal(signal.SIGUSR1)
        peer.until(lambda number=number: len(results.get(str(number), ())) >= 3, what="results")
        camera.process.kill()
        stamp, came = results[str(number)][0]
        after_frame.append(came - stamp)
        after_start.append(came - begun)
    say(
        f"{count} cameras, each another: first result {summary(after_frame)} after the first frame "
        f"that reached the node, {summary(after_start)} after the camera's first publisher"
    )
    assert max(after_frame) < LONGEST
    assert not node.lines("Traceback|ERROR|frame skipped")


def summary(seconds):
    return f"{np.median(seconds):.2f} s in the median and {max(seconds):.2f} s at most"
