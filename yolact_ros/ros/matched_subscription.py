# SPDX-License-Identifier: Apache-2.0
"""A subscription with the reliability that its publishers offer."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from yolact_ros.ros.compat import create_subscription_with_events
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.middleware import loss_advice
from yolact_ros.ros.parameters.qos import all_are_reliable, volatile_qos

_UNKNOWN = "_NODE_NAME_UNKNOWN_"
"""rmw's name of a node of which only the topics are known: what would tell it does not come."""


class MatchedSubscription(ABC):
    """A volatile subscription: reliable if every publisher found is, else best effort.

    A best-effort reader hears every publisher; a reliable one hears only reliable publishers, but
    loses none of their messages. Call `match` about once a second, in the executor's thread, to
    follow publishers that come and go.

    Attributes:
        topic: Full name of the topic that is read, as the middleware knows it.
        publisher_count: Number of publishers of the wanted type found on it.
        sources: What is published there, in words.
        reliable: Whether reliable delivery is requested.

    Args:
        node: Owner of the subscription; its namespace and remappings apply.
        log: Of the camera.
        message_type: Of the messages.
        name: Name of the topic, to be remapped.
        what: What a message is, in words and in the plural.
        queue: Messages that wait until they are taken; a newer one replaces the oldest.
    """

    def __init__(
        self,
        node: Node,
        log: ThrottledLog,
        *,
        message_type: type,
        name: str,
        what: str,
        queue: int = 1,
    ) -> None:
        self._node = node
        self._log = log
        self._type = message_type
        # rclpy remaps whatever name it is given, once; so it is given the same one everywhere.
        self._name = name
        self._what = what
        self._queue = queue
        self._lock = threading.Lock()
        self._closed = False
        self.topic = node.resolve_topic_name(name)
        self.publisher_count = 0
        self.sources = ""
        self.reliable = False
        self._subscription: Subscription | None = None

    @property
    def type_name(self) -> str:
        """The message type, as `ros2 topic list -t` writes it."""
        return type_name(self._type)

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
        self._look_at(found)

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
            volatile_qos(depth=self._queue, reliable=self.reliable),
            message_lost=self._report_lost,
            incompatible_qos=self._report_incompatible,
        )

    @abstractmethod
    def _look_at(self, found: Sequence[TopicEndpointInfo]) -> None:
        """Hear which publishers of the wanted type there are."""

    @abstractmethod
    def _receive(self, message: Any, info: Mapping[str, Any] | None) -> None:
        """Take a message, in the executor's thread."""

    @abstractmethod
    def _count_lost(self, count: int) -> None:
        """Count messages that were lost in DDS."""

    def _report_lost(self, status: Any) -> None:
        self._count_lost(status.total_count_change)
        self._log.warning(
            ("lost", self._what),
            f"{status.total_count} {self._what} on {self.topic} were lost in DDS before they "
            f"reached this node; {loss_advice()}",
        )

    def _report_incompatible(self, status: Any) -> None:
        policy = getattr(status.last_policy_kind, "name", status.last_policy_kind)
        self._log.warning(
            ("incompatible", self._what),
            f"a publisher on {self.topic} offers less than this node requested ({policy}); "
            "subscribing again with what it offers",
        )


def name_with_suffix(node: Node, relative: str, suffix: str) -> str:
    """Return the name to read packed images from: a rule for it itself counts first.

    Args:
        node: Whose remappings apply.
        relative: Name of the topic of images that are not packed.
        suffix: What is added to it, such as "/compressed".
    """
    name = f"{relative}{suffix}"
    if node.resolve_topic_name(name) != node.resolve_topic_name(name, only_expand=True):
        return name
    return f"{node.resolve_topic_name(relative)}{suffix}"


def type_name(message_type: type) -> str:
    """Return a message type's name as `ros2 topic list -t` writes it."""
    return f"{message_type.__module__.partition('.')[0]}/msg/{message_type.__name__}"


def node_name(info: TopicEndpointInfo) -> str:
    """Return the full name of an endpoint's node."""
    if info.node_name == _UNKNOWN:
        return "a node whose name does not come through"
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _describe(right: Sequence[TopicEndpointInfo], wrong: Sequence[TopicEndpointInfo]) -> str:
    if right:
        names = ", ".join(sorted(node_name(info) for info in right))
        return f"{len(right)} publisher{'s' * (len(right) > 1)} found ({names})"
    if wrong:
        types = ", ".join(sorted({info.topic_type for info in wrong}))
        return f"{len(wrong)} publisher{'s' * (len(wrong) > 1)} found, but of {types}"
    return "nobody publishes there"
