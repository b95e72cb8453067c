# SPDX-License-Identifier: Apache-2.0
"""Publishes one image again and again, 3 times a second: still_camera.py TOPIC WIDTH HEIGHT."""

import sys

import rclpy
from sensor_msgs.msg import Image

topic, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rclpy.init()
node = rclpy.create_node("still_camera")
publisher = node.create_publisher(Image, topic, 1)
image = Image(height=height, width=width, step=3 * width, encoding="rgb8")
image.data.frombytes(bytes(3 * width * height))


def publish():
    image.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(image)


node.create_timer(1 / 3, publish)
rclpy.spin(node)
