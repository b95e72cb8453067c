# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros bench node`: the real node over DDS, with real processes."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from yolact_ros.choices import RELIABILITIES, TRANSPORTS
from yolact_ros.errors import InputError

from .bench_output import settings_of, write_result
from .options import ImageSize, Kind, from_to, natural, positive_int, shared

_NETWORK = ("preset", "device", "precision", "score_threshold", "engine")


def register(parts: Any) -> None:
    """Adds the part to `argparse`'s subparsers."""
    network = shared(
        *("--preset", "--weights", "--device", "--precision", "--engine", "--score-threshold"),
        title="node",
        description="Parameters of the node. What is not given is left to the node.",
        **{name: {"default": None} for name in _NETWORK if name != "preset"},
    )
    node = parts.add_parser(
        "node",
        help="measure the real node over DDS: ages, drops, use of the machine",
        description="Start cameras and the node as processes of their own, subscribe, and "
        "measure over DDS: the age of results on arrival, what was dropped in DDS and in the node, "
        "the time of each stage by the node's own counters, and the use of processor, memory and "
        "GPU. With --compare: one node for all cameras against one node for each. With --soak: the "
        "same for minutes, with memory, ages and counters over time. With --storm: cameras die, "
        "change, stutter and send rubbish, subscribers come, go and stall, parameters move and the "
        "node goes through its lifecycle; every 30 s all has to work again.",
        examples=(
            "yolact-ros bench node --image-size 1280x720 --rate 30 --device cuda",
            "yolact-ros bench node --cameras 4 --compare --rounds 2 --picture node.png",
            "yolact-ros bench node --cameras 2 --storm 900 --seed 3 --picture storm.png",
        ),
        parents=[network, shared("--json", "--picture")],
    )
    node.set_defaults(run=run)
    group = node.add_argument_group("cameras")
    group.add_argument(
        "--cameras", type=from_to("N", int, 1, 64), default=1, help="Number of cameras."
    )
    group.add_argument(
        "--image-size",
        type=Kind(
            "WIDTHxHEIGHT",
            ImageSize.parse,
            "WIDTHxHEIGHT of 32 to 4096 pixels each, such as 1280x720",
            lambda size: min(size) >= 32 and max(size) <= 4096,
        ),
        nargs="+",
        default=[ImageSize(height=480, width=640)],
        help="Width and height of the images in pixels: one for all cameras or one for each.",
    )
    group.add_argument(
        "--rate",
        type=from_to("HZ", float, 0.1, 240),
        nargs="+",
        default=[15.0],
        help="Frames per second: one for all cameras or one for each.",
    )
    group.add_argument(
        "--transport",
        choices=TRANSPORTS,
        default="raw",
        help="How the images are sent; compressed ones are JPEG.",
    )
    group.add_argument(
        "--reliability",
        choices=RELIABILITIES,
        default="reliable",
        help="Reliability that the cameras offer.",
    )
    group = node.add_argument_group("measurement")
    group.add_argument(
        "--parameter",
        action="append",
        metavar="NAME:=VALUE",
        help="Any other parameter of the node, as after `ros2 run ... -p`. Can be repeated.",
    )
    group.add_argument(
        "--topics",
        default="instances",
        metavar="NAME,...",
        help="Outputs to subscribe to, without `~/`; the ages are those of the first.",
    )
    group.add_argument(
        "--seconds",
        type=from_to("S", float, 1, 3600),
        default=20.0,
        help="Length of the measurement in s.",
    )
    group.add_argument(
        "--warm-up",
        dest="warm_up_s",
        type=from_to("S", float, 0, 3600),
        default=5.0,
        help="Length of the warm-up in s.",
    )
    group.add_argument(
        "--compare",
        action="store_true",
        help="Also measure one node for each camera, and print the ratios.",
    )
    group.add_argument(
        "--rounds",
        type=positive_int,
        default=1,
        help="Number of measurements to join; what is compared takes turns.",
    )
    group.add_argument(
        "--storm",
        type=from_to("S", float, 4, 86400),
        nargs="?",
        const=900.0,
        help="Length of a storm in s, in place of the measurement; 900 unless given.",
    )
    group.add_argument(
        "--soak",
        type=from_to("S", float, 4, 86400),
        nargs="?",
        const=1800.0,
        help="Length of the measurement in s, with a record of every second; 1800 unless given.",
    )
    group.add_argument(
        "--seed",
        type=natural,
        default=0,
        help="What happens in the storm, and when, follows from it.",
    )
    group.add_argument(
        "--domain-id",
        type=from_to("ID", int, 0, 232),
        help="ROS domain. Unless given, one that nobody uses, whatever ROS_DOMAIN_ID says.",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs `bench node`."""
    from yolact_ros.ros.bench.settings import NodeBenchSettings, cameras_of

    settings = settings_of(
        NodeBenchSettings,
        arguments,
        cameras=cameras_of(arguments.cameras, arguments.image_size, arguments.rate),
        topics=tuple(dict.fromkeys(arguments.topics.split(","))),
        parameters=_parameters(arguments),
    )
    try:
        from yolact_ros.ros.bench import measure
    except ImportError as error:
        raise InputError(
            "bench node: expected a sourced ROS 2 with this package built in it, found no "
            f"{error.name}"
        ) from error
    from yolact_ros.ros.signals import ignore_signals

    result: dict[str, Any] = {"command": arguments.command_line}
    is_recorded = settings.storm is not None or settings.soak is not None
    measured = measure.measure_storm if settings.storm is not None else measure.measure_soak
    measured = measured if is_recorded else measure.measure_node
    try:
        result |= measured(settings, lambda text: print(text, file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        ignore_signals()  # it ends already: another Ctrl-C would only become a traceback
        raise
    # Not before: what this process maps of torch would count as shared with the nodes.
    from yolact_ros.bench.machine import describe_machine
    from yolact_ros.bench.tables import compare, node_table
    from yolact_ros.provenance import versions

    result["machine"] = describe_machine(result["device"])
    names = {"ros": "ROS_DISTRO", "rmw": "RMW_IMPLEMENTATION"}
    middleware = {name: value for name, key in names.items() if (value := os.environ.get(key))}
    result["versions"] = versions() | middleware
    if settings.compare:
        result["comparison"] = compare(*result["set_ups"])
    print(node_table(result))
    write_result(arguments, result, "record_plot" if is_recorded else "node_plot")
    if is_recorded and result["is_interrupted"]:
        return 130
    return 1 if is_recorded and result["record"]["problems"] else 0


def _parameters(arguments: argparse.Namespace) -> dict[str, str]:
    """The node's parameters by name, as YAML writes their values."""
    parameters = {
        name: str(value) for name in _NETWORK if (value := getattr(arguments, name)) is not None
    }
    if arguments.weights is not None:
        path = str(arguments.weights.resolve()).replace("'", "''")
        parameters["weights"] = f"'{path}'"
    for text in arguments.parameter or ():
        name, separator, value = text.partition(":=")
        if not (name and separator and value):
            raise InputError(f"--parameter: expected NAME:=VALUE, got {text!r}")
        if name in parameters:
            raise InputError(f"--parameter: expected each name once, got {name} again")
        parameters[name] = value
    return parameters
