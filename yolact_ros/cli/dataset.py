# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros dataset`: data sets in COCO's format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "dataset",
        help="check, split or make data sets in COCO's format",
        description="Works on data sets in COCO's format: a JSON file and a folder of images.",
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    _register_synth(actions)


def _register_synth(actions: Any) -> None:
    from yolact_ros.presets import DEMO_CLASSES

    parser = actions.add_parser(
        "synth",
        help="write synthetic scenes",
        description="Renders synthetic RGB-D scenes with exact truth. Writes OUT/images/*.png, "
        "OUT/depth/*.png (16 bits, millimetres, 0: no return) and OUT/annotations.json. "
        "The same command writes the same bytes.",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder, empty or not yet there")
    parser.add_argument("--images", type=int, required=True, help="how many, one a scene")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first scene; the others follow (default: 0)"
    )
    parser.add_argument("--width", type=int, default=640, help="default: %(default)s")
    parser.add_argument("--height", type=int, default=480, help="default: %(default)s")
    parser.add_argument(
        "--classes",
        nargs="+",
        default=list(DEMO_CLASSES),
        metavar="NAME",
        help=f"kinds of objects, their category ids are 1, 2, ...; default: all that yolact_demo "
        f"knows ({' '.join(DEMO_CLASSES)}); there are also dumbbell and mushroom",
    )
    parser.add_argument("--workers", type=int, help="processes that render (default: one a core)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run_synth)


def run_synth(arguments: argparse.Namespace) -> int:
    """Runs `dataset synth`."""
    from yolact_ros import __version__
    from yolact_ros.data.synth_set import SynthSet, default_workers

    wanted = SynthSet(
        images=arguments.images,
        seed=arguments.seed,
        width=arguments.width,
        height=arguments.height,
        class_names=tuple(arguments.classes),
    )
    workers = default_workers() if arguments.workers is None else arguments.workers
    path = wanted.write(
        arguments.out, workers=workers, version=__version__, progress=not arguments.quiet
    )
    print(f"{wanted.images} images of {', '.join(wanted.class_names)} in {path}")
    return 0
