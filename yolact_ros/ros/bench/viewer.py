# SPDX-License-Identifier: Apache-2.0
"""The subscriber of `yolact-ros bench node`: notes which results came when, and the diagnostics.

    python3 -m yolact_ros.ros.bench.viewer SETTINGS

SETTINGS is JSON: "topics", each with its name and type. It writes every message of `/diagnostics`
to its standard output at once, as a line of JSON, and the rest when asked on its standard input. It
ends with its input.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from yolact_ros.ros.bench.camera import raise_priority
from yolact_ros.ros.diagnostics import values_of

_TELLS_WHEN = hasattr(Subscription, "CallbackType")
"""Whether this rclpy tells when DDS got a message (Iron and later)."""


class BenchViewer(Node):
    """Subscriber of results, of which it reads the stamp alone.

    Args:
        topics: Name and type of each: "/yolact/instances", "yolact_ros.msg/InstanceArray".
    """

    def __init__(self, topics: Sequence[tuple[str, str]]) -> None:
        super().__init__("bench_viewer")
        self._output = threading.Lock()
        self._results: list[list[int]] = [[] for _ in topics]
        self._readers = [
            self.create_subscription(
                _type(kind),
                topic,
                self._note(results),
                QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE),
                raw=True,
            )
            for (topic, kind), results in zip(topics, self._results, strict=True)
        ]
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)

    def answer(self, command: str) -> None:
        """Answer a command on the standard output.

        "publishers": how many each subscription has. "results": for each topic, stamp and arrival
        of every result since the last time, in turns, ns by the system's clock.
        """
        if command == "publishers":
            topics = [reader.topic_name for reader in self._readers]
            self.tell({"publishers": [self.count_publishers(topic) for topic in topics]})
        else:
            self.tell({"results": [_take(results) for results in self._results]})

    def tell(self, content: Mapping[str, Any]) -> None:
        """Write one line."""
        with self._output:
            print(json.dumps(content), flush=True)

    def _note(self, results: list[int]) -> Callable[..., None]:
        # DDS notes the arrival in a thread of its own: how long Python takes does not matter.
        def with_time(data: bytes, information: Mapping[str, int]) -> None:
            results.extend((stamp_of(data), information["received_timestamp"] or time.time_ns()))

        def without_time(data: bytes) -> None:
            results.extend((stamp_of(data), time.time_ns()))

        return with_time if _TELLS_WHEN else without_time

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.tell(
            {
                "statuses": [
                    {
                        "name": status.name,
                        "level": int.from_bytes(status.level, "little"),
                        "message": status.message,
                        "values": values_of(status),
                    }
                    for status in message.status
                ]
            }
        )


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


def _serve(viewer: BenchViewer) -> None:
    for line in sys.stdin:
        viewer.answer(json.loads(line))
    # Not by rclpy's shutdown: the main thread may be in it, and each would wait for the other.
    os._exit(0)


def main(args: Sequence[str] | None = None) -> None:
    """Run the subscriber until its input ends."""
    [text] = sys.argv[1:] if args is None else args
    settings = json.loads(text)
    nice = raise_priority()
    rclpy.init(args=[])
    viewer = BenchViewer([(name, kind) for name, kind in settings["topics"]])
    executor = SingleThreadedExecutor()
    executor.add_node(viewer)
    viewer.tell({"ready": True, "nice": nice})
    threading.Thread(target=_serve, args=(viewer,), daemon=True).start()
    try:
        executor.spin()
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    finally:
        viewer.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
