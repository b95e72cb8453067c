# SPDX-License-Identifier: Apache-2.0
"""A camera of a storm: publishes frames that were made before, and misbehaves when told so.

    python3 -m yolact_ros.ros.bench.storm.camera DESCRIPTOR

DESCRIPTOR is a `multiprocessing` connection's, as `helper.py` makes it. It gets the settings, then
commands, each a dictionary with one key, until the connection ends: {"change": settings},
{"stutter": seconds}, {"rubbish": kind, "times": n}, {"film": whether}.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from yolact_ros.ros.bench.camera import make_messages
from yolact_ros.ros.bench.helper_program import connect, helper_node
from yolact_ros.ros.bench.storm.rubbish import rubbish
from yolact_ros.ros.loop import to_and_fro
from yolact_ros.ros.parameters.qos import volatile_qos

_TYPES = {"raw": Image, "compressed": CompressedImage}
_OTHER = {"raw": "compressed", "compressed": "raw"}


def main(args: Sequence[str] | None = None) -> None:
    """Run the camera until its connection ends."""
    connection, settings = connect(args)
    with helper_node(f"storm_camera_{settings['name']}") as node:
        _run(StormCamera(node, settings), connection)


def _run(camera: StormCamera, connection: Connection) -> None:
    due = time.monotonic()
    while True:
        while connection.poll(max(0.0, due - time.monotonic())):
            camera.obey(connection.recv())
        camera.publish()
        due = max(due + camera.period, time.monotonic())


class StormCamera:
    """What the camera publishes now.

    Args:
        node: Owner of the publishers.
        settings: As those of `CameraSettings`, with "topic", "seed", "loop_frames", "transport",
            "reliability" and "encoding".
    """

    def __init__(self, node: Node, settings: Mapping[str, Any]) -> None:
        self._node = node
        self._films = True
        self._publisher: Publisher | None = None
        self._settings: Mapping[str, Any] = {}
        self._change(settings)

    @property
    def period(self) -> float:
        """Seconds between frames."""
        return 1 / float(self._settings["rate_hz"])

    def obey(self, command: Mapping[str, Any]) -> None:
        """Carry out a command."""
        if "change" in command:
            self._change({**self._settings, **command["change"]})
        if "stutter" in command:
            time.sleep(command["stutter"])
        if "film" in command:
            self._films = command["film"]
        if "rubbish" in command:
            for _ in range(command["times"]):
                self._send_rubbish(command["rubbish"])

    def publish(self) -> None:
        """Publish the next frame."""
        if self._films and self._publisher is not None:
            self._publisher.publish(_stamped(next(self._loop)))

    def _change(self, settings: Mapping[str, Any]) -> None:
        if settings["reliability"] != self._settings.get("reliability"):
            if self._publisher is not None:
                self._node.destroy_publisher(self._publisher)
            self._publisher = _make_publisher(self._node, settings, settings["transport"])
        self._messages = make_messages(settings, settings["encoding"])
        self._loop = to_and_fro(self._messages)
        self._settings = settings

    def _send_rubbish(self, kind: str) -> None:
        good = _stamped(self._messages[0])
        if kind == "another type":
            _publish_another_type(self._settings, good.header)
        elif self._publisher is not None:
            self._publisher.publish(rubbish(kind, good))


def _make_publisher(node: Node, settings: Mapping[str, Any], transport: str) -> Publisher:
    qos = volatile_qos(depth=5, reliable=settings["reliability"] == "reliable")
    return node.create_publisher(_TYPES[transport], settings["topic"], qos)


def _publish_another_type(settings: Mapping[str, Any], header: Header) -> None:
    """Publish it from a participant of its own: in one, a topic has one type."""
    transport = _OTHER[settings["transport"]]
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(f"storm_other_{settings['name']}", context=context)
    publisher = _make_publisher(node, settings, transport)
    publisher.publish(_TYPES[transport](header=header))
    node.destroy_node()
    context.try_shutdown()


def _stamped(message: Any) -> Any:
    now = time.time_ns()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
    return message


if __name__ == "__main__":
    main()
