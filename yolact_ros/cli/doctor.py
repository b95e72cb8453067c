# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros doctor`: what is wrong with this machine, and what mends it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yolact_ros.choices import TRANSPORTS
from yolact_ros.findings import OK, Finding, examine, not_checked

from .options import from_to, topic_name


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "doctor",
        help="find what is wrong with this machine, and what mends it",
        description="Check Python, ROS 2, torch for this GPU, the compiler, OpenCV, the package's "
        "messages, the middleware and its shared memory, and what is named: weights, a parameter "
        "file, a camera's topic. Each fault comes with its remedy. The exit status is 1 if "
        "anything does not work.",
        examples=(
            "yolact-ros doctor",
            "yolact-ros doctor --image /camera/image_raw --weights yolact_base_54_800000.pth",
            "yolact-ros doctor --params config/yolact.yaml --json",
        ),
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="File of weights to check, as the node would."
    )
    parser.add_argument("--json", action="store_true", help="Print JSON in place of text.")
    group = parser.add_argument_group("ROS")
    group.add_argument("--image", type=topic_name, help="Topic of a camera to listen to.")
    group.add_argument(
        "--transport",
        choices=TRANSPORTS,
        default="raw",
        help="How its images are sent, as the node's image_transport.",
    )
    group.add_argument("--params", type=Path, metavar="FILE", help="Parameter file to check.")
    group.add_argument(
        "--node",
        type=topic_name,
        default="/yolact",
        metavar="NAME",
        help="Name, with its namespace, of the node that the file is for.",
    )
    group.add_argument(
        "--seconds",
        type=from_to("S", float, 0.5, 60),
        default=3.0,
        help="How long to wait for an image, and then to listen, in s.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from yolact_ros.doctor.report import as_json, as_text, exit_code, summary

    findings = []
    for finding in _examine(arguments):
        findings.append(finding)
        if not arguments.json:
            print(as_text(finding), flush=True)
    versions = _versions(with_ros=any((each.name, each.level) == ("ROS", OK) for each in findings))
    if arguments.json:
        print(as_json(findings, versions))
    else:
        print(summary(findings))
        print(", ".join(f"{name} {version}" for name, version in versions.items()))
    return exit_code(findings)


def _examine(arguments: argparse.Namespace) -> Iterator[Finding]:
    from yolact_ros.doctor import gpu, software, weights

    yield from examine("Python", software.look_at_python)
    [ros] = examine("ROS", software.look_at_ros)
    yield ros
    yield from examine("messages", software.look_at_messages)
    yield from examine("OpenCV", software.look_at_opencv)
    yield from examine("cv_bridge", software.look_at_cv_bridge)
    yield from examine("torch", gpu.look_at_torch)
    yield from examine("torchvision", gpu.look_at_torchvision)
    yield from examine("compiler", gpu.look_at_compiler)
    yield from examine("weights", lambda: weights.check_weights(_weights(arguments)))
    if ros.level != OK:
        yield not_checked("topics, parameters", "they need ROS 2", ros.remedy)
        return
    yield from examine("topics, parameters", lambda: _examine_ros(arguments))


def _weights(arguments: argparse.Namespace) -> Path | None:
    """The file that is named, or that the parameter file names; None: neither does."""
    if arguments.weights or not arguments.params:
        return arguments.weights
    import yaml

    from yolact_ros.ros.parameters.files import parameters_in  # needs no ROS

    try:
        given = parameters_in(str(arguments.params.expanduser()), _node_name(arguments))
    except (OSError, ValueError, yaml.YAMLError):
        return None  # the check of the parameter file says so
    named = given.get("weights")
    return Path(named) if isinstance(named, str) and named else None


def _node_name(arguments: argparse.Namespace) -> str:
    return f"/{arguments.node.strip('/')}"


def _examine_ros(arguments: argparse.Namespace) -> Iterator[Finding]:
    from yolact_ros.ros.doctor.examine import Question, examine_ros

    yield from examine_ros(
        Question(
            image=arguments.image,
            transport=arguments.transport,
            parameters=arguments.params.expanduser() if arguments.params else None,
            node_name=_node_name(arguments),
            seconds=arguments.seconds,
        )
    )


def _versions(*, with_ros: bool) -> dict[str, str]:
    from yolact_ros.provenance import versions

    found = versions()
    if distro := os.environ.get("ROS_DISTRO"):
        found["ros"] = distro
    if with_ros:  # else importing it may end this process
        from yolact_ros.ros.doctor.graph import versions_of_messages

        found |= versions_of_messages()
    return found
