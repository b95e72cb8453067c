# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros bench space`: what objects in space and points cost."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .bench_output import settings_of, write_result
from .options import Kind, positive_int, shared


def register(parts: Any) -> None:
    """Adds the part to `argparse`'s subparsers."""
    parser = parts.add_parser(
        "space",
        help="measure objects in space and points",
        description="Measure, on one thread, the time from masks and depth to objects in space and "
        "to points, how it grows with instances and pixels, and a frame of a network in the same "
        "run. Prints what is asked for and what is reached. The work is made up: rings that stand "
        "out of a sloping table, as a noisy depth camera sees them.",
        examples=(
            "yolact-ros bench space --json space.json --picture space.png",
            "yolact-ros bench space --image-size 640x480 --instances 5 --preset yolact_demo",
        ),
        parents=[
            shared(
                *("--preset", "--device"),
                title="network",
                preset={
                    "default": "yolact_resnet50",
                    "help": "Network to compare with, one of %(choices)s.",
                },
                device={"default": "cpu"},
            ),
            shared("--image-size", "--json", "--picture"),
        ],
    )
    parser.add_argument("--instances", type=positive_int, default=20, help="Number of masks.")
    parser.add_argument(
        "--covered",
        type=Kind("FRACTION", float, "above 0 up to 0.5", lambda share: 0 < share <= 0.5),
        default=0.42,
        help="Fraction of the image that all masks together cover.",
    )
    parser.add_argument("--frames", type=positive_int, default=60, help="Number of timed calls.")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs `bench space`."""
    from yolact_ros.bench.space import SpaceSpeedSettings, measure_space, space_table

    settings = settings_of(SpaceSpeedSettings, arguments)
    result = measure_space(settings, lambda text: print(text, file=sys.stderr, flush=True))
    print(space_table(result))
    write_result(arguments, result, "space_plot")
    return 0
