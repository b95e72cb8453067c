# SPDX-License-Identifier: Apache-2.0
"""A subscription that asks for the quality of service that its publishers offer."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from yolact_ros.ros.compat import create_subscription_with_events
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.middleware import loss_advice
from yolact_ros.ros.parameters.qos import (
    SUBSCRIPTION,
    as_offered,
    described,
    following_qos,
    overridden_qos,
    override_name,
    unfit_policies,
    value_of,
)

_UNKNOWN = "_NODE_NAME_UNKNOWN_"
"""rmw's name of a node of which only the topics are known: what would tell it does not come."""


_TWICE = 8
"""Messages beside those that wait that may come by two subscriptions."""


class MatchedSubscription(ABC):
    """A subscription: reliable, or transient local, if every publisher found is.

    A best-effort, volatile reader hears every publisher; a reliable one hears only reliable
    publishers, but loses none of their messages, and a transient local one hears only such
    publishers, but also what they published before. Call `match` about once a second, in the
    executor's thread, to follow publishers that come and go; it is called as well when one came
    that is not heard. The old subscription stays until the new one hears, so that nothing is
    missed. QoS overrides of the node win: publishers that are then not heard are logged.

    Attributes:
        topic: Full name of the topic that is read, as the middleware knows it.
        publisher_count: Number of publishers of the wanted type found on it.
        sources: What is published there, and who is not heard, in words.
        unheard: Who is not heard, why, and what to set; empty: everybody is.

    Args:
        node: Owner of the subscription; its namespace, remappings and QoS overrides apply.
        log: Of the camera.
        message_type: Of the messages.
        name: Name of the topic, to be remapped.
        what: What a message is, in words and in the plural.
        queue: Messages that wait until they are taken; a newer one replaces the oldest.

    Raises:
        ParameterError: An override of its QoS cannot be used.
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
        self._overridden = overridden_qos(node, SUBSCRIPTION, name, following_qos(depth=queue))
        self._asked = as_offered(self._overridden, [])
        self._recent: deque[tuple[int, int]] = deque(maxlen=queue + _TWICE)  # messages taken
        self._lock = threading.Lock()
        self._closed = False
        self.topic = node.resolve_topic_name(name)
        self.publisher_count = 0
        self.sources = ""
        self.unheard = ""
        self._subscription: Subscription | None = None
        self._previous: Subscription | None = None  # until the new one hears what it hears
        self._is_heard = self._is_previous_heard = False  # whether messages came by either

    @property
    def type_name(self) -> str:
        """The message type, as `ros2 topic list -t` writes it."""
        return type_name(self._type)

    @property
    def reliable(self) -> bool:
        """Whether reliable delivery is requested."""
        return bool(self._asked.reliability == ReliabilityPolicy.RELIABLE)

    def match(self) -> None:
        """Look at the publishers, and subscribe again if another profile fits them."""
        everyone = self._node.get_publishers_info_by_topic(self._name)
        found = [info for info in everyone if info.topic_type == self.type_name]
        asked = as_offered(self._overridden, [info.qos_profile for info in found])
        with self._lock:
            if self._closed:
                return
            changed = bool(found) and asked != self._asked
            if changed or self._is_heard or not self._is_previous_heard:
                self._unsubscribe(self._previous)
                self._previous = None
            self._is_previous_heard = False
            if self._subscription is None or changed:
                self._asked, self._is_heard = asked, False
                self._previous, self._subscription = self._subscription, self._subscribe()
                self.topic = self._subscription.topic_name
        self.publisher_count = len(found)
        self.sources = _describe(found, [info for info in everyone if info not in found])
        before, self.unheard = self.unheard, self._describe_unheard(found)
        if self.unheard:
            self.sources += f"; {self.unheard}"
        if self.unheard and self.unheard == before:  # the name of its node comes later than itself
            self._log.warning(("unheard", self.unheard), self.unheard, period=math.inf)
        self._look_at(found)

    def close(self) -> None:
        """End the subscription; may be called in any thread."""
        with self._lock:
            self._closed = True
            for subscription in (self._previous, self._subscription):
                self._unsubscribe(subscription)
            self._previous = self._subscription = None

    def _unsubscribe(self, subscription: Subscription | None) -> None:
        if subscription is not None:
            self._node.destroy_subscription(subscription)

    def _subscribe(self) -> Subscription:
        return create_subscription_with_events(
            self._node,
            self._type,
            self._name,
            partial(self._take, self._asked),
            self._asked,
            message_lost=partial(self._report_lost, self._asked),
            incompatible_qos=lambda status: self.match(),
        )

    def _take(self, asked: QoSProfile, message: Any, info: Mapping[str, Any] | None) -> None:
        """Hand a message on unless it came before, by the previous subscription or this one."""
        if asked is self._asked:
            self._is_heard = True
        else:
            self._is_previous_heard = True
        sent = (info or {}).get("source_timestamp", 0)
        key = (sent, (info or {}).get("publication_sequence_number") or 0)
        if sent and key in self._recent:
            return
        self._recent.append(key)
        self._receive(message, info)

    def _describe_unheard(self, found: Sequence[TopicEndpointInfo]) -> str:
        """Describe the publishers that offer less than the node's overrides ask for."""
        lines = []
        for info in found:
            offered = info.qos_profile
            if policies := unfit_policies(offered, self._asked):
                remedies = " and ".join(
                    f"{override_name(self.topic, SUBSCRIPTION, policy)} set to "
                    f"{value_of(offered, policy)}"
                    for policy in policies
                )
                more = " and ".join(
                    f"{policy} {value_of(self._asked, policy)}" for policy in policies
                )
                lines.append(
                    f"{node_name(info)} offers {described(offered)} on {self.topic}, this node "
                    f"asks for {described(self._asked)}: nothing comes from it; start this node "
                    f"with {remedies}, or let it offer {more}"
                )
        return "; ".join(sorted(set(lines)))

    @abstractmethod
    def _look_at(self, found: Sequence[TopicEndpointInfo]) -> None:
        """Hear which publishers of the wanted type there are."""

    @abstractmethod
    def _receive(self, message: Any, info: Mapping[str, Any] | None) -> None:
        """Take a message, in the executor's thread."""

    @abstractmethod
    def _count_lost(self, count: int) -> None:
        """Count messages that were lost in DDS."""

    def _report_lost(self, asked: QoSProfile, status: Any) -> None:
        if asked is not self._asked:
            return  # the new subscription may have got what the previous one lost
        self._count_lost(status.total_count_change)
        self._log.warning(
            ("lost", self._what),
            f"{status.total_count} {self._what} on {self.topic} were lost in DDS before they "
            f"reached this node; {loss_advice()}",
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


def is_named(info: TopicEndpointInfo) -> bool:
    """Whether the name of an endpoint's node has come through."""
    return bool(info.node_name != _UNKNOWN)


def node_name(info: TopicEndpointInfo) -> str:
    """Return the full name of an endpoint's node."""
    if not is_named(info):
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
