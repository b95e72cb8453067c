# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros predict`: overlay pictures or videos, and results in COCO's format."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from yolact_ros.errors import InputError

from .options import build_segmenter, segmenter_options, shared


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "predict",
        help="segment images, folders of images and videos",
        description="Segment images, folders of images and videos. Writes to the output folder: "
        "the overlays, results.json (COCO results format, masks as RLE) and images.json (the file "
        "of each image id).",
        examples=(
            "yolact-ros predict picture.png pictures/ video.mp4 --out predictions",
            "yolact-ros predict picture.png --preset yolact_base --classes person car",
        ),
        parents=[
            shared("--out", "--quiet", out={"required": False, "default": Path("predictions")}),
            *segmenter_options(score_threshold=0.3),
        ],
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="Image, video, or folder to search for them with all its subfolders.",
    )
    parser.add_argument(
        "--no-overlay", action="store_true", help="Write only the two JSON files, no overlays."
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; the status is 1 if a file could not be read, the others are processed."""
    from .sources import count_images, find_sources  # OpenCV

    sources = find_sources(arguments.inputs)
    segmenter = build_segmenter(arguments)
    from tqdm import tqdm

    from .predictor import Predictor

    arguments.out.mkdir(parents=True, exist_ok=True)
    overlays = None if arguments.no_overlay else arguments.out
    failures = []
    with tqdm(
        total=count_images(sources), unit="image", disable=arguments.quiet, file=sys.stderr
    ) as progress:
        predictor = Predictor(segmenter, overlays, progress)
        for source in sources:
            try:
                predictor.predict(source)
            except InputError as error:
                failures.append(f"yolact-ros: skipped: {error}")
    for failure in failures:
        print(failure, file=sys.stderr)
    (arguments.out / "results.json").write_text(json.dumps(predictor.results))
    (arguments.out / "images.json").write_text(json.dumps(predictor.images, indent=1))
    print(
        f"{len(predictor.images)} images, {len(predictor.results)} instances, "
        f"results in {arguments.out}"
    )
    return 1 if failures else 0
