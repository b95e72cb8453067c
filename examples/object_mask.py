#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The mask of one object as an image, as FoundationPose takes it.

python3 object_mask.py --ros-args -p class_name:=mug -r object_mask/segmentation:=/segmentation

Subscribes to yolact/instances and publishes `~/segmentation` (sensor_msgs/Image, mono8: 255 on the
object, 0 elsewhere, with the images' header). It is the best object of the class, and that one for
as long as it keeps its track; images in which it is not seen get no mask.
"""

from __future__ import annotations

import signal
import sys
from array import array

import numpy as np
import rclpy
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from sensor_msgs.msg import Image
from yolact_ros.msg import Instance, InstanceArray

from yolact_ros.masks import full_mask


def chosen(message: InstanceArray, class_name: str, track_id: int) -> Instance | None:
    """Return the instance of a track, or else, if it is 0, the best of a class ("": of all)."""
    for instance in message.instances:
        if track_id and instance.track_id == track_id:
            return instance
        if not track_id and class_name in ("", instance.class_name):
            return instance
    return None


class ObjectMask(Node):
    """Publishes the mask of one object."""

    def __init__(self) -> None:
        super().__init__("object_mask")
        self._class_name = self.declare_parameter("class_name", "").value
        self._patience = self.declare_parameter("patience", 3.0).value
        self._track_id = 0
        self._seen = self.get_clock().now()
        self._masks = self.create_publisher(Image, "~/segmentation", 5)
        self.create_subscription(InstanceArray, "yolact/instances", self._on_instances, 5)

    def _on_instances(self, message: InstanceArray) -> None:
        now = self.get_clock().now()
        if (now - self._seen).nanoseconds > self._patience * 1e9:
            self._track_id = 0  # it does not come back: take another one
        instance = chosen(message, self._class_name, self._track_id)
        if instance is None:
            return
        height, width = message.image_height, message.image_width
        try:
            mask = full_mask(instance.mask, height, width)
        except ValueError as error:
            self.get_logger().warning(f"no mask: {error}", throttle_duration_sec=5.0)
            return
        self._track_id, self._seen = instance.track_id, now
        image = Image(header=message.header, height=height, width=width, encoding="mono8")
        image.step = width
        image.data = array("B", (mask * np.uint8(255)).tobytes())
        self._masks.publish(image)


def main() -> None:
    """Run until Ctrl-C."""
    # rclpy ends the spin on Ctrl-C. Python itself would interrupt the conversion of a message.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rclpy.init()
    try:
        node = ObjectMask()
    except ParameterException as error:
        sys.exit(f"object_mask: {error}")
    try:
        rclpy.spin(node)
    except Exception:
        if rclpy.ok():  # else the end came, perhaps while a message was on its way out
            raise


if __name__ == "__main__":
    main()
