# SPDX-License-Identifier: Apache-2.0
"""Subscribes to a camera's images, and says what to do when none come."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

from yolact_ros.errors import first_line
from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.logs import place_of
from yolact_ros.ros.matched_subscription import (
    MatchedSubscription,
    name_with_suffix,
    node_name,
    type_name,
)
from yolact_ros.ros.middleware import silence_advice

_SUFFIX = "/compressed"
_MOST_SIZES = 8


class ImageSubscription(MatchedSubscription):
    """A subscription to the images of one camera, of which the newest alone waits.

    Attributes:
        camera: The camera.

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
        self._on_image = on_image
        self._compressed = transport == "compressed"
        self._relative = f"{camera.prefix}image"
        super().__init__(
            node,
            camera.log,
            message_type=CompressedImage if self._compressed else Image,
            name=name_with_suffix(node, self._relative, _SUFFIX)
            if self._compressed
            else self._relative,
            what="frames",
        )
        self._last_number: int | None = None
        self._lost_since = 0
        self._sizes: set[tuple[int, int]] = set()  # (height, width) while there are several
        self.match()

    def _look_at(self, found: Sequence[TopicEndpointInfo]) -> None:
        if len(found) > 1:
            self._warn_of_several(found)
        else:
            self._sizes.clear()

    def _warn_of_several(self, found: Sequence[TopicEndpointInfo]) -> None:
        names = sorted(node_name(info) for info in found)
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
        if self.unheard:
            return text
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
            if type_name(other) not in self._types_on(topic):
                continue
            said = f"{type_name(other)} is published on {topic}"
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
            node_name(info) != self._node.get_fully_qualified_name()
            for info in self._node.get_publishers_info_by_topic(topic)
        )

    def _types_on(self, topic: str) -> set[str]:
        return {info.topic_type for info in self._node.get_publishers_info_by_topic(topic)}

    def _receive(self, message: Any, info: Mapping[str, Any] | None) -> None:
        counters = self.camera.counters
        counters.count("received")
        self.camera.room.note(self.topic, message)
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

    def _count_lost(self, count: int) -> None:
        self.camera.counters.count("lost", count)
        self._lost_since += count
