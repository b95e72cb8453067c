# SPDX-License-Identifier: Apache-2.0
"""A camera that is another one each time: its number decides on size, encoding and QoS.

    python3 changing_camera.py NUMBER

It waits for SIGUSR1, and then publishes ten images a second until it is killed. The frame_id of
each is the number.
"""

import signal
import sys
import time

import numpy as np
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from yolact_ros.ros.conversion.images import array_to_image

ENCODINGS = {
    "rgb8": (3, np.uint8),
    "mono8": (1, np.uint8),
    "bgra8": (4, np.uint8),
    "bayer_rggb8": (1, np.uint8),
    "mono16": (1, np.uint16),
    "yuv422_yuy2": (2, np.uint8),
    "bgr8": (3, np.uint8),
}
PAIRS = (
    (ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
    (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
    (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
    (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.TRANSIENT_LOCAL),
)


def main():
    number = int(sys.argv[1])
    encoding = list(ENCODINGS)[number % len(ENCODINGS)]
    channels, dtype = ENCODINGS[encoding]
    height, width = 60 + 2 * (31 * number % 120), 80 + 2 * (47 * number % 120)
    random = np.random.default_rng(number)
    pixels = random.integers(0, 256, (height, width, channels), dtype)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # rclpy's threads get it, too
    rclpy.init()
    node = rclpy.create_node("camera")
    reliability, durability = PAIRS[number % len(PAIRS)]
    qos = QoSProfile(depth=1, reliability=reliability, durability=durability)
    print("ready", flush=True)
    signal.sigwait({signal.SIGUSR1})
    publisher = node.create_publisher(Image, "image", qos)
    while True:
        stamp = node.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id=str(number))
        publisher.publish(array_to_image(pixels, encoding, header))
        time.sleep(0.1)


main()
