# SPDX-License-Identifier: Apache-2.0
"""Quality of service of image and result topics."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo


def volatile_qos(*, depth: int, reliable: bool) -> QoSProfile:
    """Return a volatile profile that keeps the last `depth` messages."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


def all_are_reliable(publishers: Iterable[TopicEndpointInfo]) -> bool:
    """Whether a reliable subscription would hear every publisher."""
    return all(info.qos_profile.reliability == ReliabilityPolicy.RELIABLE for info in publishers)
