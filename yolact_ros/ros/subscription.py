# SPDX-License-Identifier: Apache-2.0
"""Subscribes to a camera's images with the reliability that its publishers offer."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

from yolact_ros.errors import first_line
from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.compat import create_subscription_with_events
from yolact_ros.ros.logs import place_of
from yolact_ros.ros.middleware import loss_advice, silence_advice
from yolact_ros.ros.parameters.qos import all_are_reliable, volatile_qos

_SUFFIX = "/compressed"
_MOST_SIZES = 8
_TYPE_NAMES = {Image: "sensor_msgs/msg/Image", CompressedImage: "sensor_msgs/msg/CompressedImage"}


class ImageSubscription:
    """A volatile subscription of depth 1: reliable if every publisher found is, else best effort.

    A best-effort reader hears every publisher; a reliable one hears only reliable publishers, but
    loses none of their messages. Call `match` about once a second, in the executor's thread, to
    follow publishers that come and go.

    Attributes:
        camera: The camera.
        topic: Full name of the topic that is read, as the middleware knows it.
        publisher_count: Number of publishers of images of the wanted type found on it.
        sources: What is published there, in words.
        reliable: Whether reliable delivery is requested.

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
        self._lock = threading.Lock()
        self._closed = False
        self._node = node
        self._on_image = on_image
        self._type = CompressedImage if transport == "compressed" else Image
        self._relative = f"{camera.prefix}image"
        # rclpy remaps whatever name it is given, once; so it is given the same one everywhere.
        self._name = _compressed_name(node, self._relative) if self._compressed else self._relative
        self.topic = node.resolve_topic_name(self._name)
        self.publisher_count = 0
        self.sources = ""
        self.reliable = False
        self._last_number: int | None = None
        self._lost_since = 0
        self._sizes: set[tuple[int, int]] = set()  # (height, width) while there are several
        self._subscription: Subscription | None = None
        self.match()

    @property
    def type_name(self) -> str:
        """The message type, as `ros2 topic list -t` writes it."""
        return _TYPE_NAMES[self._type]

    @property
    def _compressed(self) -> bool:
        return self._type is CompressedImage

    def match(self) -> None:
        """Look at the publishers, and subscribe again if another reliability fits them."""
        everyone = self._node.get_publishers_info_by_topic(self._name)
        found = [info for info in everyone if info.topic_type == self.type_name]
        self.publisher_count = len(found)
        self.sources = _describe(found, [info for info in everyone if info not in found])
        reliable = all_are_reliable(found) if found else self.reliable
        with self._lock:
            if self._closed:
                return
            if self._subscription is None or reliable != self.reliable:
                self._unsubscribe()
                self.reliable = reliable
                self._subscription = self._subscribe()
                self.topic = self._subscription.topic_name
        if len(found) > 1:
            self._warn_of_several(found)
        else:
            self._sizes.clear()

    def _warn_of_several(self, found: Sequence[TopicEndpointInfo]) -> None:
        names = sorted(_node_name(info) for info in found)
        sizes = sorted(f"{width} x {height}" for height, width in self._sizes.copy())
        text = f"{len(found)} publishers on {self.topic} ({', '.join(names)}): their images are "
        text += "segmented as if one camera had sent them"
        if len(sizes) > 1:
            text += f", though their sizes differ ({', '.join(sizes)})"
        self.camera.log.warning(
            ("several", *names, *sizes), f"{text}; remap all but one", period=math.inf
        )

    def describe_silence(self) -> str:
        """Describe what the node is waiting for, what is there instead, and what to set."""
        text = f"waiting for images ({self.type_name}) on {self.topic}: {self.sources}"
        if self.publisher_count:
            return f"{text}, but no image comes; {silence_advice()}"
        for advice in (self._other_type(), self._doubled_suffix(), self._other_topics()):
            if advice:
                return f"{text}; {advice}"
        return text

    def _other_type(self) -> str:
        """What to set if images of the other type are published where they could be meant."""
        base = self._node.resolve_topic_name(self._relative)
        other, transport = (Image, "raw") if self._compressed else (CompressedImage, "compressed")
        for topic in (self.topic, base, f"{base}{_SUFFIX}"):
            if _TYPE_NAMES[other] not in self._types_on(topic):
                continue
            said = f"{_TYPE_NAMES[other]} is published on {topic}"
            if not self._compressed and not topic.endswith(_SUFFIX):
                return f"{said}: image_transport compressed would read it if it ended in {_SUFFIX}"
            right = topic.removesuffix(_SUFFIX) if other is CompressedImage else topic
            remap = f" and remap `{self._relative}` to {right}" if right != base else ""
            return f"{said}: set image_transport to {transport}{remap}"
        return ""

    def _doubled_suffix(self) -> str:
        """What to set if the suffix that is added was given already."""
        base = self._node.resolve_topic_name(self._relative)
        if self._compressed and base.endswith(_SUFFIX):
            right = base.removesuffix(_SUFFIX)
            return f"{_SUFFIX} is added to the name: remap `{self._relative}` to {right}"
        return ""

    def _other_topics(self) -> str:
        """Which topics could be meant."""
        others = [
            name.removesuffix(_SUFFIX) if self._compressed else name
            for name, types in sorted(self._node.get_topic_names_and_types())
            if self.type_name in types and name != self.topic and self._is_published(name)
        ]
        if not others:
            return ""
        return f"published instead: {', '.join(others)} (remap `{self._relative}` to one of them)"

    def _is_published(self, topic: str) -> bool:
        """Whether another node publishes there."""
        return any(
            _node_name(info) != self._node.get_fully_qualified_name()
            for info in self._node.get_publishers_info_by_topic(topic)
        )

    def _types_on(self, topic: str) -> set[str]:
        return {info.topic_type for info in self._node.get_publishers_info_by_topic(topic)}

    def close(self) -> None:
        """End the subscription; may be called in any thread."""
        with self._lock:
            self._closed = True
            self._unsubscribe()

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _subscribe(self) -> Subscription:
        return create_subscription_with_events(
            self._node,
            self._type,
            self._name,
            self._receive,
            volatile_qos(depth=1, reliable=self.reliable),
            message_lost=self._report_lost,
            incompatible_qos=self._report_incompatible,
        )

    def _receive(self, message: Any, info: Mapping[str, Any] | None) -> None:
        counters = self.camera.counters
        counters.count("received")
        self._note_number((info or {}).get("publication_sequence_number"))
        if self.publisher_count > 1 and not self._compressed and len(self._sizes) < _MOST_SIZES:
            self._sizes.add((message.height, message.width))
        try:
            self._on_image(self.camera, message, info)
        except Exception as error:
            reason = f"{type(error).__name__}: {first_line(error)}"
            counters.count("raised", reason=reason)
            self.camera.log.error(
                ("raised", place_of(error)), f"an image on {self.topic} was dropped: {reason}"
            )

    def _note_number(self, number: int | None) -> None:
        """Count what the camera published since the last image that neither came nor was lost.

        Args:
            number: Of the image among those of its publisher, from 1; None or 0: not known.
        """
        last, self._last_number = self._last_number, number
        lost, self._lost_since = self._lost_since, 0
        if self.publisher_count == 1 and last and number:
            missed = number - last - 1 - lost
            if missed > 0:
                self.camera.counters.count("overwritten", missed)

    def _report_lost(self, status: Any) -> None:
        self.camera.counters.count("lost", status.total_count_change)
        self._lost_since += status.total_count_change
        self.camera.log.warning(
            "lost",
            f"{status.total_count} frames on {self.topic} were lost in DDS before they reached "
            f"this node; {loss_advice()}",
        )

    def _report_incompatible(self, status: Any) -> None:
        policy = getattr(status.last_policy_kind, "name", status.last_policy_kind)
        self.camera.log.warning(
            "incompatible",
            f"a publisher on {self.topic} offers less than this node requested ({policy}); "
            "subscribing again with what it offers",
        )


def _compressed_name(node: Node, relative: str) -> str:
    """The name to read compressed images from: a rule for it itself counts first."""
    name = f"{relative}{_SUFFIX}"
    if node.resolve_topic_name(name) != node.resolve_topic_name(name, only_expand=True):
        return name
    return f"{node.resolve_topic_name(relative)}{_SUFFIX}"


def _describe(right: Sequence[TopicEndpointInfo], wrong: Sequence[TopicEndpointInfo]) -> str:
    if right:
        names = ", ".join(sorted(_node_name(info) for info in right))
        return f"{len(right)} publisher{'s' * (len(right) > 1)} found ({names})"
    if wrong:
        types = ", ".join(sorted({info.topic_type for info in wrong}))
        return f"{len(wrong)} publisher{'s' * (len(wrong) > 1)} found, but of {types}"
    return "nobody publishes there"


def _node_name(info: TopicEndpointInfo) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"
