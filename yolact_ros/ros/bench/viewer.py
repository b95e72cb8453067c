# SPDX-License-Identifier: Apache-2.0
"""The subscriber of `yolact-ros bench node`: which results came when, and the diagnostics."""

from __future__ import annotations

import importlib
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from yolact_ros.ros.bench.camera import raise_priority
from yolact_ros.ros.bench.counts import Arrivals
from yolact_ros.ros.diagnostics import values_of

_TELLS_WHEN = hasattr(Subscription, "CallbackType")
"""Whether this rclpy tells when DDS got a message (Iron and later)."""


class Status(NamedTuple):
    """A status of `/diagnostics`, with its values by key."""

    level: int
    message: str
    values: dict[str, str]


class Viewer:
    """Subscriber of `/diagnostics` and of results, of which it reads the stamp alone.

    Its thread and those of DDS run before others where that is allowed; the main thread does not,
    and its children would inherit that.

    Args:
        topics: Name and type of each: "/yolact/instances", "yolact_ros.msg/InstanceArray".
    """

    def __init__(self, topics: Sequence[tuple[str, str]]) -> None:
        self._lock = threading.Lock()
        self._statuses: dict[tuple[str, str], list[Status]] = {}
        self._topics = topics
        self._results: list[list[int]] = [[] for _ in topics]
        self._context = rclpy.Context()
        self._thread = ThreadPoolExecutor(1, initializer=raise_priority)
        self._thread.submit(self._subscribe).result()
        self._spinning = self._thread.submit(self._executor.spin)

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown()
        self._thread.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def check(self) -> None:
        """Raise the error that has ended the subscriber, if any."""
        if self._spinning.done():
            self._spinning.result()

    def is_found(self) -> bool:
        """Whether every result has a publisher."""
        return all(self._node.count_publishers(topic) for topic, _ in self._topics)

    def take_results(self) -> list[Arrivals]:
        """Stamp and arrival of the results of each topic since the last call."""
        taken = [np.array(_take(results), dtype=np.int64) for results in self._results]
        return [pairs.reshape(-1, 2) for pairs in taken]

    def forget(self) -> None:
        """Forget the statuses that came so far."""
        with self._lock:
            self._statuses.clear()

    def of_topic(self, topic: str) -> list[Status]:
        """All statuses since the last `forget` of the camera that publishes this alone."""
        with self._lock:
            found = (found for (_, image), found in self._statuses.items() if image == topic)
            return list(next(found, []))

    def of_nodes(self) -> list[list[Status]]:
        """All statuses since the last `forget` of each node as a whole."""
        with self._lock:
            return [
                list(found)
                for (name, _), found in self._statuses.items()
                if name.endswith(": segmentation")
            ]

    def _subscribe(self) -> None:
        rclpy.init(args=[], context=self._context)
        self._node = rclpy.create_node("bench_viewer", context=self._context)
        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        for (topic, kind), results in zip(self._topics, self._results, strict=True):
            note = _noting(results)
            self._node.create_subscription(_type(kind), topic, note, qos, raw=True)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        with self._lock:
            for status in message.status:
                values = values_of(status)
                level = int.from_bytes(status.level, "little")
                key = (status.name, values.get("image topic", ""))
                self._statuses.setdefault(key, []).append(Status(level, status.message, values))


def _noting(results: list[int]) -> Callable[..., None]:
    # DDS notes the arrival in a thread of its own: how long Python takes does not matter.
    def with_time(data: bytes, information: Mapping[str, int]) -> None:
        results.extend((stamp_of(data), information["received_timestamp"] or time.time_ns()))

    def without_time(data: bytes) -> None:
        results.extend((stamp_of(data), time.time_ns()))

    return with_time if _TELLS_WHEN else without_time


def _take(results: list[int]) -> list[int]:
    """Remove and return what a list holds; what the other thread appends meanwhile stays in it."""
    taken = results[:]
    del results[: len(taken)]
    return taken


def stamp_of(data: bytes) -> int:
    """Read the stamp of a serialised message that begins with a header, ns.

    Four bytes say how CDR orders bytes (OMG DDS-RTPS 2.3, 10.5), then come seconds and nanoseconds.
    """
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds * 10**9 + nanoseconds)


def _type(name: str) -> Any:
    module, _, message = name.partition("/")
    return getattr(importlib.import_module(module), message)
