# SPDX-License-Identifier: Apache-2.0
"""Differences between versions of rclpy, and workarounds for its defects, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions, _declare_qos_parameters
from rclpy.service import Service
from rclpy.subscription import Subscription

try:  # Iron and later
    from rclpy.event_handler import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )
except ImportError:  # Humble
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )

__all__ = [
    "create_publisher_with_events",
    "create_subscription_with_events",
    "declare_qos_overrides",
    "destroy_state_machine",
    "guard_transitions",
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
    callbacks: dict[str, Any] = {"message_lost": message_lost, "incompatible_qos": incompatible_qos}
    for names in (tuple(callbacks), ("incompatible_qos",), ("message_lost",)):
        wanted: dict[str, Any] = {name: callbacks[name] for name in names}
        try:
            return node.create_subscription(
                message_type,
                topic,
                receive,
                qos,
                event_callbacks=SubscriptionEventCallbacks(**wanted),
            )
        except UnsupportedEventTypeError:
            continue
    return node.create_subscription(message_type, topic, receive, qos)


def create_publisher_with_events(
    node: Node,
    message_type: type,
    topic: str,
    qos: QoSProfile,
    *,
    incompatible_qos: Callable[[Any], None],
) -> Publisher:
    """Create a publisher, with the event callback if the middleware supports it.

    Args:
        incompatible_qos: Called with a status whose `last_policy_kind` names the policy.
    """
    callbacks = PublisherEventCallbacks(incompatible_qos=incompatible_qos)
    try:
        return node.create_publisher(message_type, topic, qos, event_callbacks=callbacks)
    except UnsupportedEventTypeError:
        return node.create_publisher(message_type, topic, qos)


def declare_qos_overrides(
    node: Node, entity: str, topic: str, qos: QoSProfile, kinds: Iterable[QoSPolicyKind]
) -> QoSProfile:
    """Declare the parameters that override a profile, and return it with what they say.

    rclpy does so when it creates a publisher or a subscription; a subscription that is created
    anew with another profile would get what was declared for the first.

    Args:
        entity: "publisher" or "subscription".
        topic: Its full name.
        qos: Is changed.
        kinds: The policies that have a parameter.
    """
    entity_type = Publisher if entity == "publisher" else Subscription
    _declare_qos_parameters(entity_type, node, topic, qos, QoSOverridingOptions(tuple(kinds)))
    return qos


def guard_transitions(node: Any, begin: AbstractContextManager[Any]) -> Service:
    """Make `~/change_state` answer in every case, and one call after the other.

    rclpy raises in the executor if the current state does not allow a transition, and the client
    waits forever.

    Args:
        node: A node with `LifecycleNodeMixin`.
        begin: Entered for the time of a call, which may be made in any thread.

    Returns:
        The service.
    """
    service: Service = node._service_change_state
    change_state = service.callback

    def answer(request: Any, response: Any) -> Any:
        wanted = request.transition
        with begin:
            allowed = {each[1]: each[0] for each in node._state_machine.available_transitions}
            if wanted.label in allowed or (not wanted.label and wanted.id in allowed.values()):
                try:
                    return change_state(request, response)
                except Exception as error:
                    problem = f"{type(error).__name__}: {error}"
            else:
                state, names = lifecycle_state(node), ", ".join(sorted(allowed)) or "none"
                problem = f"not allowed while the node is {state}, which allows: {names}"
        name = wanted.label or f"number {wanted.id}"
        node.get_logger().warning(f"transition {name} refused: {problem}")
        response.success = False
        return response

    service.callback = answer
    return service


def lifecycle_state(node: Any) -> str:
    """Return the node's state, such as "inactive"; rclpy tells it through a service alone.

    Raises:
        InvalidHandle: The state machine has been destroyed.
    """
    return str(node._state_machine.current_state[1])


def destroy_state_machine(node: Any) -> None:
    """Destroy what rclpy's `destroy_node` forgets and what keeps the node's DDS entities alive.

    Otherwise they stay until they are garbage-collected, and their shared memory stays forever if
    the process ends before that. A thread within a transition gets an `InvalidHandle` from now on;
    rclpy frees the machine at once, whoever uses it, and the process crashed.
    """
    machine = getattr(node, "_state_machine", None)
    if machine is not None:
        node._state_machine = _DestroyedStateMachine()
        machine.destroy_when_not_in_use()
    # Lyrical's `destroy_node` destroys only a copy of it, and the node stays (ros2/rclpy#1710).
    description = getattr(node, "_type_description_service", None)
    original = getattr(description, "_type_description_srv", None)
    if original is not None:
        original.destroy_when_not_in_use()


class _DestroyedStateMachine:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise InvalidHandle(f"{name}: the node's state machine has been destroyed")
