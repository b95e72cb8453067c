# SPDX-License-Identifier: Apache-2.0
"""Quality of service: what topics offer and ask for, and how `qos_overrides` change it."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)

from yolact_ros.ros.compat import declare_qos_overrides
from yolact_ros.ros.parameters.spec import INTEGER, STRING, ParameterError, ParameterSpec

PUBLISHER, SUBSCRIPTION = "publisher", "subscription"

# The middleware's word for "what the publishers offer", from Iron on.
_OFFERED_RELIABILITY = getattr(
    ReliabilityPolicy, "BEST_AVAILABLE", ReliabilityPolicy.SYSTEM_DEFAULT
)
_OFFERED_DURABILITY = getattr(DurabilityPolicy, "BEST_AVAILABLE", DurabilityPolicy.SYSTEM_DEFAULT)

_PREFIX = "qos_overrides."
_WORDS: dict[str, Any] = {
    "history": HistoryPolicy,
    "reliability": ReliabilityPolicy,
    "durability": DurabilityPolicy,
    "liveliness": LivelinessPolicy,
}
_NUMBERS = {"depth": 1, "deadline": 0, "lifespan": 0, "liveliness_lease_duration": 0}
"""The smallest value of each; durations are in nanoseconds, 0 for no limit."""
_OF_PUBLISHERS = "lifespan"
_ALWAYS_SHOWN = ("history", "depth", "reliability", "durability")
"""Policies whose parameters `ros2 param list` shows; the others are there if they are given."""


def volatile_qos(*, depth: int, reliable: bool) -> QoSProfile:
    """Return a volatile profile that keeps the last `depth` messages."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


def following_qos(*, depth: int) -> QoSProfile:
    """Return a subscription's profile whose reliability and durability are those offered.

    `as_offered` makes it one that can be subscribed with.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=_OFFERED_RELIABILITY,
        durability=_OFFERED_DURABILITY,
    )


def as_offered(qos: QoSProfile, offered: Sequence[QoSProfile]) -> QoSProfile:
    """Return a profile that asks for no more than every publisher offers.

    What `following_qos` leaves open is reliable, and transient local, if all of them are; what was
    overridden stays.

    Args:
        qos: As it was overridden.
        offered: Of the publishers.
    """
    fitting = copy.copy(qos)
    if qos.reliability == _OFFERED_RELIABILITY:
        reliable = _all(offered, "reliability", ReliabilityPolicy.RELIABLE)
        fitting.reliability = (
            ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        )
    if qos.durability == _OFFERED_DURABILITY:
        latched = _all(offered, "durability", DurabilityPolicy.TRANSIENT_LOCAL)
        fitting.durability = (
            DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        )
    return fitting


def overridden_qos(node: Node, entity: str, topic: str, qos: QoSProfile) -> QoSProfile:
    """Return a profile with what the parameters `qos_overrides.<topic>.<entity>.<policy>` say.

    They are those of every ROS 2 node: they are declared here, and can be set at the start only.

    Args:
        node: Whose namespace, remappings and parameters apply.
        entity: `PUBLISHER` or `SUBSCRIPTION`.
        topic: Its name, to be remapped; in the parameters it is the full one.
        qos: What applies otherwise.

    Raises:
        ParameterError: A value, or the name of a policy, cannot be used.
    """
    full_name = node.resolve_topic_name(topic)
    prefix = f"{_PREFIX}{full_name}.{entity}."
    # Their values are what rclpy tells only here.
    given = {
        name.removeprefix(prefix): parameter.value
        for name, parameter in node._parameter_overrides.items()
        if name.startswith(prefix)
    }
    for policy, value in given.items():
        _check(prefix, policy, value, entity)
    shown = dict.fromkeys((*_ALWAYS_SHOWN, *given))
    kinds = [QoSPolicyKind[policy.upper()] for policy in shown]
    return declare_qos_overrides(node, entity, full_name, copy.copy(qos), kinds)


def stray_overrides(node: Node) -> Iterator[str]:
    """Yield a line for each override that seems to be meant for this node and has no effect.

    Call it when all topics are there. What is for other topics is no mistake: files are shared.
    """
    known: dict[str, list[str]] = {}  # of each topic
    for name in node.get_parameters_by_prefix(_PREFIX[:-1]):
        known.setdefault(name.partition(".")[0], []).append(name)
    for name in node._parameter_overrides:
        if not name.startswith(_PREFIX) or node.has_parameter(name):
            continue
        given = name.removeprefix(_PREFIX)
        topic, _, policy = given.partition(".")
        # One that is remapped is known by the name that it has then.
        meant = _remapped(node, topic)
        for near in [meant] if meant in known else difflib.get_close_matches(topic, known, 1, 0.8):
            [best] = difflib.get_close_matches(f"{near}.{policy}", known[near], 1, 0.0)
            yield f"unknown parameter {name}, which is ignored; did you mean {_PREFIX}{best}?"


def unfit_policies(offered: QoSProfile, asked: QoSProfile) -> list[str]:
    """Return the names of the policies of which a subscription asks for more than is offered."""
    unfit = {
        "reliability": offered.reliability == ReliabilityPolicy.BEST_EFFORT
        and asked.reliability == ReliabilityPolicy.RELIABLE,
        "durability": offered.durability == DurabilityPolicy.VOLATILE
        and asked.durability == DurabilityPolicy.TRANSIENT_LOCAL,
        "deadline": _limit(offered.deadline) > _limit(asked.deadline),
        "liveliness": offered.liveliness == LivelinessPolicy.AUTOMATIC
        and asked.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC,
        "liveliness_lease_duration": _limit(offered.liveliness_lease_duration)
        > _limit(asked.liveliness_lease_duration),
    }
    return [policy for policy, is_unfit in unfit.items() if is_unfit]


def described(qos: QoSProfile) -> str:
    """Describe what decides whether two profiles fit; what is left at its default is left out."""
    words = [value_of(qos, "reliability"), value_of(qos, "durability")]
    for policy in ("deadline", "liveliness_lease_duration"):
        if _limit(getattr(qos, policy)) < _NO_LIMIT:
            words.append(f"{policy} {value_of(qos, policy)} ns")
    if qos.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC:
        words.append("liveliness manual_by_topic")
    return ", ".join(words)


def value_of(qos: QoSProfile, policy: str) -> str:
    """Return the value of a policy as a parameter has it."""
    value = getattr(qos, policy)
    return str(value.nanoseconds) if isinstance(value, Duration) else str(value.name).lower()


def override_name(topic: str, entity: str, policy: str) -> str:
    """Return the name of the parameter that overrides a policy of a topic's full name."""
    return f"{_PREFIX}{topic}.{entity}.{policy}"


_NO_LIMIT = 2**63 - 1


def _limit(duration: Duration) -> int:
    return int(duration.nanoseconds) or _NO_LIMIT


def _all(offered: Sequence[QoSProfile], policy: str, value: Any) -> bool:
    return bool(offered) and all(getattr(qos, policy) == value for qos in offered)


def _remapped(node: Node, topic: str) -> str:
    try:
        return str(node.resolve_topic_name(topic))
    except (RuntimeError, ValueError):  # it is no name of a topic
        return topic


def _check(prefix: str, policy: str, value: Any, entity: str) -> None:
    allowed = [
        name for name in (*_WORDS, *_NUMBERS) if name != _OF_PUBLISHERS or entity == PUBLISHER
    ]
    name = f"{prefix}{policy}"
    if policy not in allowed:
        raise ParameterError(
            f"{name}: expected a policy among {', '.join(allowed)}, got {policy!r}"
        )
    if policy in _NUMBERS:
        spec = ParameterSpec(
            name=name, kind=INTEGER, default=1, description="", minimum=_NUMBERS[policy]
        )
    else:
        words = tuple(each.name.lower() for each in _WORDS[policy] if each.name != "UNKNOWN")
        spec = ParameterSpec(name=name, kind=STRING, default="", description="", choices=words)
        value = value.lower() if isinstance(value, str) else value
    spec.check(value)
