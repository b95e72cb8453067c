# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros memory`: peak memory of each stage for large images and many instances."""

from __future__ import annotations

import argparse
import re
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.presets import get_preset, preset_names


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "memory",
        help="measure the peak memory of each stage on the CPU",
        description="Measures the peak resident memory of each stage on the CPU, with random "
        "weights and a fixed number of instances of a fixed size.",
    )
    parser.add_argument(
        "--preset",
        default="yolact_demo",
        help=f"one of {', '.join(preset_names())} (default: %(default)s)",
    )
    parser.add_argument(
        "--image-size", default="1944x2592", metavar="HxW", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--instances", type=int, default=100, metavar="N", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--box-area",
        type=float,
        default=0.05,
        metavar="FRACTION",
        help="area of each box as a fraction of the image (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from yolact_ros.bench.memory import measure_peak_memory  # torch

    size = parse_size(arguments.image_size)
    peak = measure_peak_memory(
        get_preset(arguments.preset), size, arguments.instances, arguments.box_area
    )
    print(
        f"{arguments.preset}, {size[0]}x{size[1]}, {arguments.instances} instances with boxes of "
        f"{arguments.box_area:.1%} of the image; MB of peak resident memory above the stage's start"
    )
    for stage, megabytes in peak._asdict().items():
        print(f"{stage:<12}{megabytes:9.1f}")
    return 0


def parse_size(text: str) -> tuple[int, int]:
    """ "HxW" in pixels to (height, width).

    Raises:
        ValueError: It is something else.
    """
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not found:
        raise InputError(f"--image-size: expected HxW in pixels, such as 720x1280, got {text!r}")
    return int(found[1]), int(found[2])
