# SPDX-License-Identifier: Apache-2.0
"""Differences between versions of rclpy, and workarounds for its defects, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

try:  # Iron and later
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

__all__ = [
    "answer_refused_transitions",
    "create_subscription_with_events",
    "destroy_state_machine",
    "lifecycle_state",
    "with_information",
]


def with_information(
    callback: Callable[[Any, Mapping[str, Any] | None], None],
) -> Callable[..., None]:
    """Fit a callback of a message and what the middleware tells of it to this rclpy.

    That is "source_timestamp" and "received_timestamp", ns, 0 where it does not know; None before
    Iron.
    """
    if hasattr(Subscription, "CallbackType"):
        return callback
    return lambda message: callback(message, None)  # Humble


def create_subscription_with_events(
    node: Node,
    message_type: type,
    topic: str,
    callback: Callable[[Any, Mapping[str, Any] | None], None],
    qos: QoSProfile,
    *,
    message_lost: Callable[[Any], None],
    incompatible_qos: Callable[[Any], None],
) -> Subscription:
    """Create a subscription with those event callbacks that the middleware supports.

    Args:
        callback: Called with each message and its information, see `with_information`.
        message_lost: Called with a status whose `total_count_change` is the number of messages.
        incompatible_qos: Called with a status whose `last_policy_kind` names the policy.
    """
    receive = with_information(callback)
    wanted: list[dict[str, Any]] = [
        {"message_lost": message_lost, "incompatible_qos": incompatible_qos},
        {"incompatible_qos": incompatible_qos},
    ]
    for events in wanted:
        try:
            return node.create_subscription(
                message_type,
                topic,
                receive,
                qos,
                event_callbacks=SubscriptionEventCallbacks(**events),
            )
        except UnsupportedEventTypeError:
            continue
    return node.create_subscription(message_type, topic, receive, qos)


def answer_refused_transitions(node: LifecycleNode) -> None:
    """Make `~/change_state` answer a transition that the current state does not allow.

    rclpy raises in the executor instead, and the client waits forever.
    """
    service = getattr(node, "_service_change_state", None)
    if service is None:
        return
    change_state = service.callback

    def answer(request: Any, response: Any) -> Any:
        try:
            return change_state(request, response)
        except Exception:
            wanted = request.transition.label or request.transition.id
            node.get_logger().warning(f"transition {wanted} refused: not allowed in this state")
            response.success = False
            return response

    service.callback = answer


def lifecycle_state(node: LifecycleNode) -> str:
    """Return the node's state, such as "inactive"; rclpy tells it through a service alone."""
    return str(node._state_machine.current_state[1])


def destroy_state_machine(node: LifecycleNode) -> None:
    """Destroy what rclpy's `destroy_node` forgets and what keeps the node's DDS entities alive.

    Otherwise they stay until they are garbage-collected, and their shared memory stays forever if
    the process ends before that.
    """
    machine = getattr(node, "_state_machine", None)
    if machine is not None:
        machine.destroy_when_not_in_use()
