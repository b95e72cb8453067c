# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros bench node`: the real node over DDS, with real processes."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.presets import preset_names

from .image_size import parse_size

_NEEDED = ("rclpy", "ament_index_python", "diagnostic_msgs", "sensor_msgs", "yolact_ros.msg")
_NETWORK = ("preset", "device", "precision", "score_threshold", "engine")


def register(parts: Any) -> None:
    """Adds the part to `argparse`'s subparsers."""
    node = parts.add_parser(
        "node",
        help="the real node over DDS: ages, drops, use of the machine",
        description="Starts cameras, the node and a subscriber as processes of their own, and "
        "measures over DDS: the age of results on arrival, what was dropped in DDS and in the "
        "node, the time of each stage by the node's own counters, and the use of processor, memory "
        "and GPU. With --compare: one node for all cameras against one node for each.",
    )
    cameras = node.add_argument_group("cameras")
    cameras.add_argument(
        "--cameras", type=int, default=1, metavar="N", help="how many (default: %(default)s)"
    )
    cameras.add_argument(
        "--image-size",
        nargs="+",
        default=["640x480"],
        metavar="WIDTHxHEIGHT",
        help="one for all or one for each (default: 640x480)",
    )
    cameras.add_argument(
        "--rate",
        nargs="+",
        type=float,
        default=[15.0],
        metavar="HZ",
        help="frames a second: one for all or one for each (default: 15)",
    )
    cameras.add_argument(
        "--transport", default="raw", help="raw, or compressed: JPEG (default: %(default)s)"
    )
    cameras.add_argument(
        "--reliability",
        default="reliable",
        help="that the cameras offer: reliable or best_effort (default: %(default)s)",
    )
    network = node.add_argument_group("node", "What is not given is left to the node.")
    network.add_argument("--preset", help=f"one of {', '.join(preset_names())}")
    network.add_argument("--weights", type=Path, metavar="FILE", help="(default: the demo's)")
    network.add_argument("--device", help="auto, cpu, cuda or cuda:N")
    network.add_argument("--precision", help="auto, fp32, fp16 or bf16")
    network.add_argument("--engine", help="what runs the network")
    network.add_argument("--score-threshold", type=float, metavar="S")
    network.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        help="any other parameter of the node, as after `ros2 run ... -p`; several times for "
        "several",
    )
    network.add_argument(
        "--topics",
        default="instances",
        metavar="NAME,...",
        help="outputs that are subscribed to, without `~/`; the ages are those of the first "
        "(default: %(default)s)",
    )
    measuring = node.add_argument_group("measurement")
    measuring.add_argument(
        "--seconds", type=float, default=20.0, metavar="S", help="(default: %(default)g)"
    )
    measuring.add_argument(
        "--warm-up", type=float, default=5.0, metavar="S", help="before it (default: %(default)g)"
    )
    measuring.add_argument(
        "--compare",
        action="store_true",
        help="measure one node for each camera along, and print the ratios",
    )
    measuring.add_argument(
        "--rounds",
        type=int,
        default=1,
        metavar="N",
        help="measure so many times; what is compared takes turns (default: %(default)s)",
    )
    measuring.add_argument(
        "--domain-id",
        type=int,
        metavar="ID",
        help="ROS domain (default: one that nobody uses, whatever ROS_DOMAIN_ID says)",
    )
    measuring.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    measuring.add_argument("--picture", type=Path, metavar="FILE", help="draw them there, as PNG")
    node.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs `bench node`."""
    from yolact_ros.ros.bench.settings import NodeBenchSettings, cameras_of

    settings = NodeBenchSettings(
        cameras=cameras_of(
            arguments.cameras,
            [parse_size(text) for text in arguments.image_size],
            arguments.rate,
        ),
        transport=arguments.transport,
        reliability=arguments.reliability,
        seconds=arguments.seconds,
        warm_up_s=arguments.warm_up,
        topics=tuple(arguments.topics.split(",")),
        parameters=_parameters(arguments),
        compare=arguments.compare,
        rounds=arguments.rounds,
        domain_id=arguments.domain_id,
    )
    for module in _NEEDED:
        if not _is_there(module):
            raise InputError(
                f"bench node: expected a sourced ROS 2 with this package built in it, found no "
                f"{module}"
            )
    from yolact_ros.ros.bench.measure import measure_node

    with _sigterm_as_interrupt():
        result: dict[str, Any] = {"command": arguments.command_line}
        result |= measure_node(settings, lambda text: print(text, file=sys.stderr, flush=True))
    # Not before: what this process maps of torch would count as shared with the nodes.
    import torch

    from yolact_ros.bench.machine import describe_machine
    from yolact_ros.bench.tables import node_table
    from yolact_ros.provenance import versions

    result["machine"] = describe_machine(torch.device(result["device"]))
    result["versions"] = versions() | _middleware()
    print(node_table(result))
    if arguments.json:
        _write(arguments.json, _json(result).encode())
    if arguments.picture:
        from yolact_ros.bench.plots import node_plot  # matplotlib

        _write(arguments.picture, node_plot(result))
    return 0


def _parameters(arguments: argparse.Namespace) -> dict[str, str]:
    """The node's parameters by name, as YAML writes their values."""
    parameters = {
        name: str(value) for name in _NETWORK if (value := getattr(arguments, name)) is not None
    }
    if arguments.weights is not None:
        path = str(arguments.weights.resolve()).replace("'", "''")
        parameters["weights"] = f"'{path}'"
    for text in arguments.parameter:
        name, separator, value = text.partition(":=")
        if not (name and separator and value):
            raise InputError(f"--parameter: expected NAME:=VALUE, got {text!r}")
        if name in parameters:
            raise InputError(f"--parameter: expected each name once, got {name} again")
        parameters[name] = value
    return parameters


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Lets SIGTERM end all processes in order, as Ctrl-C does."""

    def interrupt(signum: int, frame: Any) -> None:
        del signum, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _middleware() -> dict[str, str]:
    names = {"ros": "ROS_DISTRO", "rmw": "RMW_IMPLEMENTATION"}
    return {name: value for name, key in names.items() if (value := os.environ.get(key))}


def _json(result: Mapping[str, Any]) -> str:
    """With every list of numbers in one line: a curve of ages has a hundred."""
    text = json.dumps(result, indent=1) + "\n"
    return re.sub(r"\[[\s\d.,+e-]+\]", lambda found: " ".join(found[0].split()), text)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
