#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One image of labels, as Khronos and Hydra take it: a number for each pixel.

python3 label_image.py --ros-args -p labels:=tracks

Subscribes to yolact/instances and publishes `~/image` (sensor_msgs/Image, 32SC1, with the images'
header). Labels are the numbers of tracks, or with labels:=classes those of the classes, counted
from 1; 0 is where nothing is. Where masks overlap, the better score is on top.
"""

from __future__ import annotations

import signal
import sys
from array import array

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from sensor_msgs.msg import Image
from yolact_ros.msg import InstanceArray

from yolact_ros.masks import instance_map

LABELS = {
    "tracks": lambda instance: instance.track_id,
    "classes": lambda instance: instance.class_id + 1,
}


def label_image(message: InstanceArray, labels: str) -> npt.NDArray[np.int32]:
    """Return the (H, W) labels of an image.

    Raises:
        ValueError: A mask contradicts itself or reaches beyond the image.
    """
    numbers = [0, *(LABELS[labels](instance) for instance in message.instances)]
    return np.array(numbers, np.int64).astype(np.int32)[instance_map(message)]


class LabelImage(Node):
    """Publishes a label image for each message."""

    def __init__(self) -> None:
        super().__init__("label_image")
        self._labels = self.declare_parameter("labels", "tracks").value
        if self._labels not in LABELS:
            raise ValueError(f"labels: expected tracks or classes, got {self._labels}")
        self._images = self.create_publisher(Image, "~/image", 5)
        self.create_subscription(InstanceArray, "yolact/instances", self._on_instances, 5)

    def _on_instances(self, message: InstanceArray) -> None:
        try:
            labels = label_image(message, self._labels)
        except ValueError as error:
            self.get_logger().warning(f"no labels: {error}", throttle_duration_sec=5.0)
            return
        height, width = labels.shape
        image = Image(header=message.header, height=height, width=width, encoding="32SC1")
        image.is_bigendian, image.step = int(sys.byteorder == "big"), 4 * width
        image.data = array("B", labels.tobytes())
        self._images.publish(image)


def main() -> None:
    """Run until Ctrl-C."""
    # rclpy ends the spin on Ctrl-C. Python itself would interrupt the conversion of a message.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rclpy.init()
    try:
        node = LabelImage()
    except (ParameterException, ValueError) as error:
        sys.exit(f"label_image: {error}")
    try:
        rclpy.spin(node)
    except Exception:
        if rclpy.ok():  # else the end came, perhaps while a message was on its way out
            raise


if __name__ == "__main__":
    main()
