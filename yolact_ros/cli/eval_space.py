# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros eval space`: how true objects in space are, on rendered scenes."""

from __future__ import annotations

import argparse
from typing import Any

from yolact_ros.choices import DEPTH_CAMERAS

from .options import build_segmenter, natural, positive_int, segmenter_options, shared


def register(parts: Any) -> None:
    """Add the part to `argparse`'s subparsers."""
    parser = parts.add_parser(
        "space",
        help="measure objects in space against rendered scenes",
        description="Render RGB-D scenes, measure the objects of the true masks and of the "
        "network's through several depth cameras, and hold them against the truth. Prints what is "
        "asked for and what is reached, and centre, size, yaw, recall and covariance by distance, "
        "occlusion, kind, mask and depth camera, beside the naive way: the mask's centroid at the "
        "median depth.",
        examples=(
            "yolact-ros eval space --out space",
            "yolact-ros eval space --weights run/best.safetensors --scenes 30 --sensors real holes",
        ),
        parents=[
            shared(
                *("--out", "--quiet"),
                out={
                    "required": False,
                    "help": "Also write the tables, metrics.json and a plot to this folder, "
                    "created if it is missing.",
                },
            ),
            *segmenter_options(score_threshold=0.3, in_fp32=True),
        ],
    )
    parser.add_argument(
        "--scenes",
        type=positive_int,
        default=120,
        help="Scenes of each set: near, far, floating, half hidden.",
    )
    parser.add_argument(
        "--seed",
        type=natural,
        default=1_000_000,
        help="Seed of the first scene; each further scene uses the next integer.",
    )
    parser.add_argument(
        "--sensors",
        nargs="+",
        choices=DEPTH_CAMERAS,
        default=list(DEPTH_CAMERAS),
        metavar="NAME",
        help="Depth cameras to measure with, some of %(choices)s.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `eval space`."""
    from tqdm import tqdm

    from yolact_ros.evaluation.space.report import describe_space, write_space_report
    from yolact_ros.evaluation.space.sets import SpaceSettings, measure_sets, scene_count
    from yolact_ros.provenance import versions

    settings = SpaceSettings(
        scenes=arguments.scenes, seed=arguments.seed, sensors=tuple(arguments.sensors)
    )
    segmenter = build_segmenter(arguments)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
    with tqdm(total=scene_count(settings), unit="scene", disable=arguments.quiet) as bar:
        measured = measure_sets(segmenter, settings, bar.update)
    print(describe_space(measured))
    if arguments.out is not None:
        about = {"command": arguments.command_line, "versions": versions()}
        print(f"\nreport in {write_space_report(measured, about, arguments.out)}")
    return 0
