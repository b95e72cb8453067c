# SPDX-License-Identifier: Apache-2.0
"""Messages in and out as the node handles them, for `yolact-ros bench`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from yolact_ros.msg import InstanceArray
from yolact_ros.recordings.images.raw import image_to_array
from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.ros.conversion.instances import instance_array
from yolact_ros.ros.parameters.qos import volatile_qos
from yolact_ros.structures import Instances


class MessageFrames:
    """A node that publishes `~/instances` and subscribes to it.

    Args:
        images: (H, W, 3) uint8 BGR each; they arrive in turns.
    """

    def __init__(self, images: Sequence[npt.NDArray[np.uint8]]) -> None:
        self._header = Header(frame_id="camera")
        self._serialized = [
            serialize_message(array_to_image(image, "bgr8", self._header)) for image in images
        ]
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("yolact_bench", context=self._context)
        qos = volatile_qos(depth=5, reliable=True)
        self._publisher = self._node.create_publisher(InstanceArray, "~/instances", qos)
        self._subscription = self._node.create_subscription(
            InstanceArray, "~/instances", lambda message: None, qos
        )

    def __enter__(self) -> MessageFrames:
        return self

    def __exit__(self, *error: object) -> None:
        self._node.destroy_node()
        self._context.try_shutdown()

    def arrive(self, number: int) -> npt.NDArray[np.uint8]:
        """Turn the bytes of a sensor_msgs/Image into pixels, as the executor and node do."""
        message = deserialize_message(self._serialized[number % len(self._serialized)], Image)
        return image_to_array(message).pixels

    def make_messages(self, instances: Instances) -> InstanceArray:
        """Make the message of `~/instances`."""
        return instance_array(instances, self._header)

    def publish(self, message: InstanceArray) -> None:
        """Send it to the subscriber, which does not read it."""
        self._publisher.publish(message)
