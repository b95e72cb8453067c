# SPDX-License-Identifier: Apache-2.0
"""Runs the checks that need ROS, with a node of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
import yaml
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from yolact_ros.findings import Finding, examine, not_checked
from yolact_ros.ros.doctor.camera import CameraListener
from yolact_ros.ros.doctor.graph import check_hashes, check_names, hashes_of, names_of
from yolact_ros.ros.doctor.machine import check_middleware, check_profile, check_shared_memory
from yolact_ros.ros.doctor.parameters import check_parameters
from yolact_ros.ros.doctor.segments import check_sender, find_sender
from yolact_ros.ros.fastdds_profile import read_variable
from yolact_ros.ros.parameters.files import parameters_in

_NODE = "yolact_doctor"
_LOOK_AGAIN = 0.5
"""Seconds between two looks at the publishers, as the node's second."""


@dataclass(frozen=True)
class Question:
    """What is asked for.

    Attributes:
        image: Topic of a camera; None: none is looked at.
        transport: "raw" or "compressed".
        parameters: A parameter file; None: none is looked at.
        node_name: The node that it is for, with its namespace.
        seconds: How long the first image is waited for, and then how long others are counted.
        domain_id: The ROS domain; None: as ROS_DOMAIN_ID says.
    """

    image: str | None = None
    transport: str = "raw"
    parameters: Path | None = None
    node_name: str = "/yolact"
    seconds: float = 3.0
    domain_id: int | None = None


def examine_ros(question: Question) -> Iterator[Finding]:
    """Run all checks that need ROS."""
    yield from examine("middleware", check_middleware)
    name = rclpy.get_rmw_implementation_identifier()
    yield from examine("profile", lambda: check_profile(name, os.environ, read_variable()))
    yield from examine("shared memory", check_shared_memory)
    if question.parameters is None:
        yield not_checked("parameters", "no file was named", "doctor --params FILE checks one")
    else:
        file = question.parameters
        yield from examine("parameters", lambda: check_parameters(file, question.node_name))
    yield from examine("ROS graph", lambda: _examine_graph(question, name))


def _examine_graph(question: Question, middleware: str) -> Iterator[Finding]:
    context = Context()
    rclpy.init(args=[], context=context, domain_id=question.domain_id)
    try:
        node = Node(
            _NODE,
            context=context,
            cli_args=["--ros-args", "-r", f"image:={question.image}"] if question.image else [],
            use_global_arguments=False,
            parameter_overrides=_overrides(question),
        )
        try:
            yield from _look(question, node, context, middleware)
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


def _look(question: Question, node: Node, context: Context, middleware: str) -> Iterator[Finding]:
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    listener = CameraListener(node, question.transport) if question.image else None
    end = time.monotonic() + question.seconds
    is_silent = True
    looked = 0.0
    while (now := time.monotonic()) < end:
        if listener is not None and now - looked > _LOOK_AGAIN:
            listener.subscription.match()
            looked = now
        executor.spin_once(timeout_sec=0.05)
        if is_silent and listener is not None and listener.newest is not None:
            is_silent, end = False, time.monotonic() + question.seconds
    if listener is None:
        yield not_checked(
            "image topic",
            f"none was named; {_image_topics(node)}",
            "doctor --image TOPIC checks one",
        )
    else:
        yield from listener.findings()
        if listener.subscription.publisher_count and middleware.startswith("rmw_fastrtps"):
            topic = listener.subscription.topic
            [gid, *_] = [info.endpoint_gid for info in node.get_publishers_info_by_topic(topic)]
            sender = find_sender(gid, _own_gid(node, topic))
            yield check_sender(sender, os.geteuid(), listener.image_bytes, middleware)
    yield check_names(names_of(node))
    yield check_hashes(hashes_of(node))
    if listener is not None:
        listener.subscription.close()
    executor.shutdown()


def _own_gid(node: Node, topic: str) -> list[int]:
    infos = node.get_subscriptions_info_by_topic(topic)
    own = (info.endpoint_gid for info in infos if info.node_name == _NODE)
    return list(next(own))


def _overrides(question: Question) -> list[Parameter]:
    """The overrides of QoS, which decide whom the node hears, in the parameter file."""
    if question.parameters is None:
        return []
    try:
        given: dict[str, Any] = parameters_in(str(question.parameters), question.node_name)
    except (OSError, ValueError, yaml.YAMLError):
        return []  # the check of the file says so
    return [
        Parameter(name, value=value)
        for name, value in given.items()
        if name.startswith("qos_overrides.") or name == "use_sim_time"
    ]


def _image_topics(node: Node) -> str:
    kinds = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
    topics = [
        name
        for name, types in sorted(node.get_topic_names_and_types())
        if any(kind in types for kind in kinds) and node.count_publishers(name)
    ]
    return f"images are published on {', '.join(topics)}" if topics else "nobody publishes images"
