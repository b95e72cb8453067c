# SPDX-License-Identifier: Apache-2.0
"""The node's publishers, and the subscribers that none of their messages reaches."""

from __future__ import annotations

import math

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from yolact_ros.ros.compat import create_publisher_with_events
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.matched_subscription import is_named, node_name
from yolact_ros.ros.parameters.qos import (
    PUBLISHER,
    described,
    overridden_qos,
    override_name,
    unfit_policies,
    value_of,
)

_PATIENCE = 5
"""Seconds in which the name of a subscriber's node is expected to come through."""


class Publishers:
    """Makes publishers, and tells of subscribers that ask for more than these offer.

    Args:
        node: Owner of the publishers; its namespace, remappings and QoS overrides apply.
        log: The node's.
    """

    def __init__(self, node: Node, log: ThrottledLog) -> None:
        self._node = node
        self._log = log
        self._made: dict[str, QoSProfile] = {}  # of each topic, as it was given
        self._refused: dict[str, int] = {}  # topics with such subscribers, and seconds left

    def create(self, message_type: type, topic: str, qos: QoSProfile) -> Publisher:
        """Create a publisher.

        Args:
            message_type: Of its messages.
            topic: Name of the topic, to be remapped.
            qos: What applies where nothing is overridden.

        Raises:
            ParameterError: An override of its QoS cannot be used.
        """
        overridden = overridden_qos(self._node, PUBLISHER, topic, qos)
        self._made[topic] = overridden
        return create_publisher_with_events(
            self._node,
            message_type,
            topic,
            overridden,
            incompatible_qos=lambda status: self._refused.update({topic: _PATIENCE}),
        )

    def destroy(self, publisher: Publisher) -> None:
        """Remove a publisher."""
        self._node.destroy_publisher(publisher)

    def tell(self) -> None:
        """Log which subscribers nothing reaches, and why; call it once a second.

        The middleware tells that there is one at once, but whose it is only later.
        """
        for topic, seconds in tuple(self._refused.items()):
            unfit = [
                info
                for info in self._node.get_subscriptions_info_by_topic(topic)
                if unfit_policies(self._made[topic], info.qos_profile)
            ]
            if unfit and seconds > 1 and not all(is_named(info) for info in unfit):
                self._refused[topic] = seconds - 1
                continue
            del self._refused[topic]
            for info in unfit:
                self._warn(topic, node_name(info), info.qos_profile)

    def _warn(self, topic: str, subscriber: str, asked: QoSProfile) -> None:
        offered, name = self._made[topic], self._node.resolve_topic_name(topic)
        policies = unfit_policies(offered, asked)
        less = " and ".join(f"{policy} {value_of(offered, policy)}" for policy in policies)
        more = " and ".join(
            f"{override_name(name, PUBLISHER, policy)} set to {value_of(asked, policy)}"
            for policy in policies
        )
        text = (
            f"{subscriber} asks for {described(asked)} on {name}, this node offers "
            f"{described(offered)}: nothing reaches it; let it ask for {less}, or start this node "
            f"with {more}"
        )
        self._log.warning(("unfit", text), text, period=math.inf)
