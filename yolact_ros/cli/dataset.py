# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros dataset`: data sets in COCO's format."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from yolact_ros.errors import InputError


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "dataset",
        help="check, split or make data sets in COCO's format",
        description="Works on data sets in COCO's format: a JSON file and a folder of images.",
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    _register_check(actions)
    _register_split(actions)
    _register_synth(actions)


def _register_check(actions: Any) -> None:
    parser = actions.add_parser(
        "check",
        help="look for problems, count objects, draw samples",
        description="Prints what is wrong (errors keep training from starting, warnings do not), "
        "and counts and sizes a class. The exit status is 1 if there are errors.",
    )
    parser.add_argument("annotations", type=Path, metavar="ANNOTATIONS.json")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="their images")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PAGE",
        help="draw samples: one picture (.png, .jpg), or a page with tables (.html)",
    )
    parser.add_argument(
        "--samples", type=int, default=12, help="images in PAGE (default: %(default)s)"
    )
    parser.add_argument(
        "--show",
        type=int,
        default=10,
        metavar="N",
        help="of each kind of problem, 0: all (default: %(default)s)",
    )
    parser.set_defaults(run=run_check)


def run_check(arguments: argparse.Namespace) -> int:
    """Runs `dataset check`."""
    from yolact_ros.datasets.coco import dataset_from_content
    from yolact_ros.datasets.problems import examine, read_content
    from yolact_ros.datasets.statistics import statistics_of
    from yolact_ros.datasets.warnings import find_warnings

    from .dataset_page import PAGES, PICTURES, write_page
    from .dataset_text import headline, problem_lines, statistics_lines, verdict

    page = arguments.out
    if page is not None and page.suffix.lower() not in (*PICTURES, *PAGES):
        kinds = ", ".join((*PICTURES, *PAGES))
        raise InputError(f"out: expected a file name that ends in {kinds}, got {page}")
    for name, least in (("samples", 1), ("show", 0)):
        if getattr(arguments, name) < least:
            raise InputError(f"{name}: expected {least} or more, got {getattr(arguments, name)}")
    problems, sound = examine(read_content(arguments.annotations), arguments.images)
    dataset = dataset_from_content(sound, arguments.annotations, arguments.images)
    problems += find_warnings(dataset)
    statistics = statistics_of(dataset)
    for line in problem_lines(problems, arguments.show):
        print(line)
    print(headline(dataset, statistics))
    for line in statistics_lines(statistics):
        print(line)
    if page is not None:
        write_page(page, dataset, statistics, problems, samples=arguments.samples)
        print(f"samples in {page}")
    print(verdict(problems))
    return int(any(problem.fatal for problem in problems))


def _register_split(actions: Any) -> None:
    parser = actions.add_parser(
        "split",
        help="divide the images among training and validation",
        description="Writes DIR/NAME.json for each part. An image is in one part with all its "
        "annotations; every class is spread alike over the parts, as far as can be. The images "
        "stay where they are.",
    )
    parser.add_argument("annotations", type=Path, metavar="ANNOTATIONS.json")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the parts")
    parser.add_argument(
        "--parts",
        nargs="+",
        default=["train=0.8", "val=0.2"],
        metavar="NAME=SHARE",
        help="default: train=0.8 val=0.2",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another one gives other parts (default: %(default)s)"
    )
    parser.set_defaults(run=run_split)


def run_split(arguments: argparse.Namespace) -> int:
    """Runs `dataset split`."""
    import json

    from yolact_ros.datasets.problems import DatasetError, examine, read_content
    from yolact_ros.datasets.split import split_content

    from .dataset_text import split_lines

    shares = _parse_parts(arguments.parts)
    files = {name: arguments.out / f"{name}.json" for name in shares}
    for path in files.values():
        if path.exists():
            raise InputError(f"{path}: expected no such file yet, got one")
    content = read_content(arguments.annotations)
    problems = examine(content, None).problems
    if problems:
        raise DatasetError(arguments.annotations, problems)
    parts = split_content(content, shares, seed=arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        path.write_text(json.dumps(parts[name]))
    for line in split_lines(parts):
        print(line)
    print(f"written: {', '.join(map(str, files.values()))}")
    return 0


def _parse_parts(texts: list[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
            raise InputError(f"parts: expected NAME=SHARE, such as train=0.8, got {text!r}")
        if name in shares:
            raise InputError(f"parts: expected names of their own, got {name} twice")
        try:
            shares[name] = float(share)
        except ValueError:
            raise InputError(
                f"parts: expected NAME=SHARE, such as train=0.8, got {text!r}"
            ) from None
    return shares


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
    from yolact_ros.scenes.synth_set import SynthSet, default_workers

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
