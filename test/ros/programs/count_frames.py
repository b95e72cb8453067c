# SPDX-License-Identifier: Apache-2.0
"""Counts images and their ages: a best-effort subscriber of depth 5.

    python3 count_frames.py TOPIC SECONDS

The time begins with the first image, or after 15 s without one.
"""

import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image


def main():
    topic, seconds = sys.argv[1], float(sys.argv[2])
    rclpy.init()
    node = rclpy.create_node("count_frames")
    ages, stamps = [], []

    def on_image(message):
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        stamps.append(stamp)
        ages.append((node.get_clock().now().nanoseconds - stamp) * 1e-6)

    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(Image, topic, on_image, qos)
    print("subscribed", flush=True)
    deadline = time.monotonic() + 15
    while not stamps and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=max(0.0, end - time.monotonic()))
    median = np.median(ages) if ages else float("nan")
    print(f"received {len(stamps)} age_p50_ms {median:.1f}", flush=True)


main()
