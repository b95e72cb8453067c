# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros bench tracking`: what it costs to recognise things from image to image."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .bench_output import settings_of, write_result
from .options import positive_int, shared


def register(parts: Any) -> None:
    """Adds the part to `argparse`'s subparsers."""
    parser = parts.add_parser(
        "tracking",
        help="measure recognising things from image to image",
        description="Measure, on one thread, what a tracker takes for each image, and how that "
        "grows to 100 things found in each. Prints what is asked for and what is reached. The "
        "things are made up: ellipses that cross the image.",
        examples=(
            "yolact-ros bench tracking --picture tracking.png",
            "yolact-ros bench tracking --instances 50 --json tracking.json",
        ),
        parents=[shared("--image-size", "--json", "--picture")],
    )
    parser.add_argument("--instances", type=positive_int, default=20, help="Number of things.")
    parser.add_argument("--frames", type=positive_int, default=300, help="Number of timed images.")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs `bench tracking`."""
    from yolact_ros.bench.tracking import TrackingSpeedSettings, measure_tracking, tracking_table

    settings = settings_of(TrackingSpeedSettings, arguments)
    result = measure_tracking(settings, lambda text: print(text, file=sys.stderr, flush=True))
    print(tracking_table(result))
    write_result(arguments, result, "tracking_plot")
    return 0
