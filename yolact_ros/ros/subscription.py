# SPDX-License-Identifier: Apache-2.0
"""Subscribes to a camera's images with the reliability that its publishers offer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.compat import create_subscription_with_events
from yolact_ros.ros.parameters.qos import all_are_reliable, volatile_qos

_TYPE_NAMES = {Image: "sensor_msgs/msg/Image", CompressedImage: "sensor_msgs/msg/CompressedImage"}


class ImageSubscription:
    """A volatile subscription of depth 1: reliable if every publisher found is, else best effort.

    A best-effort reader hears every publisher; a reliable one hears only reliable publishers, but
    loses none of their messages. Call `match` about once a second, in the executor's thread, to
    follow publishers that come and go.

    Attributes:
        camera: The camera.
        topic: Full name of the topic.
        publisher_count: Number of publishers found on it.
        reliable: Whether reliable delivery is requested.
        last_image: `time.monotonic()` when the last image, or else the subscription, came.

    Args:
        node: Owner of the subscription; its namespace and remappings apply.
        camera: The camera, whose counters and log are used.
        transport: "raw" or "compressed".
        on_image: Called in the executor's thread with the camera, each message and what the
            middleware tells of it, or None.
    """

    def __init__(
        self,
        node: Node,
        *,
        camera: CameraStream,
        transport: str,
        on_image: Callable[[CameraStream, Any, Mapping[str, Any] | None], None],
    ) -> None:
        self.camera = camera
        self.last_image = time.monotonic()
        self._node = node
        self._on_image = on_image
        self._type = CompressedImage if transport == "compressed" else Image
        self._relative = f"{camera.prefix}image"
        base = node.resolve_topic_name(self._relative)
        self.topic = f"{base}/compressed" if transport == "compressed" else base
        self.publisher_count = 0
        self.reliable = False
        self._subscription: Subscription | None = None
        self.match()

    @property
    def type_name(self) -> str:
        """The message type, as `ros2 topic list -t` writes it."""
        return _TYPE_NAMES[self._type]

    def match(self) -> None:
        """Look at the publishers, and subscribe again if another reliability fits them."""
        found = [
            info
            for info in self._node.get_publishers_info_by_topic(self.topic)
            if info.topic_type == self.type_name
        ]
        self.publisher_count = len(found)
        reliable = all_are_reliable(found) if found else self.reliable
        if self._subscription is None or reliable != self.reliable:
            self.close()
            self.reliable = reliable
            self._subscription = self._subscribe()

    def describe_silence(self) -> str:
        """Describe what the node is waiting for, and which topics could be meant instead."""
        text = f"waiting for images ({self.type_name}) on {self.topic}: "
        if count := self.publisher_count:
            return text + f"{count} publisher{'s' * (count > 1)} found, but no image comes"
        text += "nobody publishes there"
        if others := self._other_image_topics():
            text += f"; published instead: {', '.join(others)}"
            text += f" (remap `{self._relative}` to one of them)"
        return text

    def _other_image_topics(self) -> list[str]:
        return sorted(
            name
            for name, types in self._node.get_topic_names_and_types()
            if self.type_name in types
            and name != self.topic
            and any(
                info.node_name != self._node.get_name()
                for info in self._node.get_publishers_info_by_topic(name)
            )
        )

    def close(self) -> None:
        """End the subscription."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _subscribe(self) -> Subscription:
        return create_subscription_with_events(
            self._node,
            self._type,
            self.topic,
            self._receive,
            volatile_qos(depth=1, reliable=self.reliable),
            message_lost=self._report_lost,
            incompatible_qos=self._report_incompatible,
        )

    def _receive(self, message: Any, info: Mapping[str, Any] | None) -> None:
        self.last_image = time.monotonic()
        self.camera.counters.count("received")
        self._on_image(self.camera, message, info)

    def _report_lost(self, status: Any) -> None:
        self.camera.counters.count("lost", status.total_count_change)
        self.camera.log.warning(
            "lost",
            f"{status.total_count} frames on {self.topic} were lost in DDS before they reached "
            "this node. Large images need a larger shared-memory segment in the camera's process: "
            "start it with FASTRTPS_DEFAULT_PROFILES_FILE (Fast DDS 3: "
            "FASTDDS_DEFAULT_PROFILES_FILE) set to config/fastdds.xml of this package",
        )

    def _report_incompatible(self, status: Any) -> None:
        policy = getattr(status.last_policy_kind, "name", status.last_policy_kind)
        self.camera.log.warning(
            "incompatible",
            f"a publisher on {self.topic} offers less than this node requested ({policy}); "
            "subscribing again with what it offers",
        )
