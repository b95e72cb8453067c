# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros eval tracking`: how well things are recognised, on filmed scenes."""

from __future__ import annotations

import argparse
from typing import Any

from yolact_ros.errors import InputError

from .options import build_segmenter, natural, positive_int, segmenter_options, shared


def register(parts: Any) -> None:
    """Add the part to `argparse`'s subparsers."""
    parser = parts.add_parser(
        "tracking",
        help="measure the tracker against filmed scenes",
        description="Film scenes in which things pass before and behind one another, those of the "
        "demo, and cuts, and hold the tracks of true masks and of the network's against the truth: "
        "IDF1 and what bounds it, switches and fragments, full occlusions survived, velocities, "
        "and cuts, beside plain ByteTrack. Needs motmetrics: requirements/tracking.txt.",
        examples=("yolact-ros eval tracking --out tracking", "yolact-ros eval tracking --scenes 6"),
        parents=[
            shared(
                *("--out", "--quiet"),
                out={
                    "required": False,
                    "help": "Also write the tables and metrics.json to this folder, created if it "
                    "is missing.",
                },
            ),
            *segmenter_options(score_threshold=0.15, in_fp32=True),
        ],
    )
    for name, default, text in (
        ("--scenes", 60, "Scenes of 10 s in which things pass one another."),
        ("--demo-scenes", 12, "Scenes of the demo, of 5 s."),
        ("--cuts", 100, "Cuts from one scene of the demo to another."),
    ):
        parser.add_argument(name, type=positive_int, default=default, help=text)
    parser.add_argument(
        "--seed",
        type=natural,
        default=1_000_000,
        help="Seed of the first scene; each further scene uses the next integer.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `eval tracking`."""
    from tqdm import tqdm

    from yolact_ros.provenance import versions

    try:
        from yolact_ros.evaluation.tracking import report
    except ModuleNotFoundError as error:
        raise InputError(
            f"the packages that measure tracking are not installed ({error}). In a checkout, "
            "install with: pip install -r requirements/tracking.txt"
        ) from error
    settings = report.TrackingSettings(
        scenes=arguments.scenes,
        demo_scenes=arguments.demo_scenes,
        cuts=arguments.cuts,
        seed=arguments.seed,
    )
    segmenter = build_segmenter(arguments)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
    with tqdm(total=report.scene_count(settings), unit="scene", disable=arguments.quiet) as bar:
        runs, cuts = report.run_trackers(segmenter, settings, bar.update)
    text = report.describe_tracking(runs, cuts, settings)
    print(text)
    if arguments.out is not None:
        about = {"command": arguments.command_line, "versions": versions()}
        path = report.write_tracking_report(text, runs, about, arguments.out)
        print(f"\nreport in {path}")
    return 0
