# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros train-demo`: the demo's weights, from nothing."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "train-demo",
        help="train yolact_demo from nothing on synthetic scenes",
        description="Renders synthetic scenes, trains yolact_demo on them and measures it on "
        "scenes that it never saw. Writes OUT/yolact_demo.safetensors and OUT/metrics.json.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for everything written")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--scenes", type=int, default=4000, help="rendered (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3000, help="batches (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="default: %(default)s")
    parser.add_argument(
        "--evaluation-scenes", type=int, default=300, help="unseen ones (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument(
        "--precision", default="auto", help="auto, fp32 or bf16 (default: %(default)s)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint in OUT"
    )
    parser.add_argument("--keep-scenes", action="store_true", help="do not delete OUT/scenes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    # By default OpenMP's threads wait by spinning for long, and starve each other as soon as other
    # processes want the cores: steps of 0.5 s then took 10 s. Read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    try:
        from yolact_ros.training.demo import DemoTraining, train_demo
    except ModuleNotFoundError as error:
        raise ValueError(
            f"train-demo: expected the training requirements to be installed, got: {error}"
        ) from error

    from .eval import describe

    # Hints at products and at settings that are chosen here.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)

    options = DemoTraining(
        **{field.name: getattr(arguments, field.name) for field in fields(DemoTraining)}
    )
    metrics = train_demo(arguments.out, options, command_line(arguments))
    print(describe(metrics))
    print(f"weights in {arguments.out / 'yolact_demo.safetensors'}")
    return 0


def command_line(arguments: argparse.Namespace) -> str:
    """The command that repeats this run, with every value in it."""
    words = ["yolact-ros", "train-demo"]
    for name, value in sorted(vars(arguments).items()):
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif name != "run" and value is not False:
            words += [option, Path(value).name if name == "out" else str(value)]
    return shlex.join(words)
