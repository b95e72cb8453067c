# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros train`: a network for one's own objects."""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.errors import InputError
from yolact_ros.presets import preset_names

from .options import training_packages

if TYPE_CHECKING:
    from yolact_ros.training.recipe import Recipe

_RECIPE_CHANGES = (
    "learning_rate",
    "weight_decay",
    "augmentation",
    "class_loss",
    "average",
    "gradient_clip",
)


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "train",
        help="train a network on a data set in COCO's format",
        description="Trains on one data set and validates on another, both in COCO's format. "
        "OUT/best.safetensors then goes straight into the node: weights:=OUT/best.safetensors.",
    )
    parser.add_argument(
        "--preset",
        required=True,
        help=f"architecture, one of {', '.join(preset_names())}; its classes become the data's",
    )
    parser.add_argument(
        "--backbone", metavar="torchvision:NAME", help="instead of the preset's own"
    )
    for name, what in (("train", "training"), ("val", "validation")):
        parser.add_argument(
            f"--{name}", type=Path, required=True, metavar="JSON", help=f"{what} annotations"
        )
        parser.add_argument(
            f"--{name}-images", type=Path, required=True, metavar="DIR", help="their images"
        )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in OUT")
    _add_start(parser.add_argument_group("what it begins with"))
    _add_recipe(parser.add_argument_group("recipe"))
    _add_machine(parser.add_argument_group("machine"))
    parser.set_defaults(run=run)


def _add_start(group: Any) -> None:
    group.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="a trained network; what it shares with the new one is kept, also if the classes "
        "are others",
    )
    group.add_argument(
        "--backbone-weights",
        default="auto",
        metavar="SOURCE",
        help="without --weights: imagenet (torchvision's), a file of torchvision's, none, or auto: "
        "imagenet where torchvision has the backbone (default: %(default)s)",
    )


def _add_recipe(group: Any) -> None:
    group.add_argument(
        "--recipe",
        default="published",
        help="published (SGD, steps), or short: for minutes to hours (default: %(default)s)",
    )
    group.add_argument(
        "--max-steps",
        type=int,
        metavar="N",
        help="batches (default: 54.6 passes, as published, and at least 3000)",
    )
    group.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="a process (default: %(default)s)"
    )
    group.add_argument("--seed", type=int, default=0, metavar="S", help="default: %(default)s")
    group.add_argument(
        "--learning-rate", type=float, metavar="R", help="highest, for 8 images a step"
    )
    group.add_argument("--weight-decay", type=float, metavar="W")
    group.add_argument("--augmentation", help="published, light or none")
    group.add_argument("--class-loss", help="softmax or focal")
    group.add_argument(
        "--average", type=float, metavar="D", help="decay of the weights' moving average; 0: none"
    )
    group.add_argument(
        "--gradient-clip", type=float, metavar="G", help="largest norm of gradients; 0: any"
    )
    group.add_argument(
        "--freeze-norms",
        default="auto",
        help="batch norms keep their statistics: yes, no, or auto: below 6 images a process, "
        "given weights to begin with (default: %(default)s)",
    )
    group.add_argument(
        "--validate-every",
        type=int,
        metavar="N",
        help="steps (default: one pass, but at most 20 validations)",
    )
    group.add_argument(
        "--checkpoint-every",
        type=int,
        default=200,
        metavar="N",
        help="steps after which an interrupted run can go on (default: %(default)s)",
    )


def _add_machine(group: Any) -> None:
    group.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    group.add_argument(
        "--devices", type=int, default=1, metavar="N", help="processes here (default: %(default)s)"
    )
    group.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="machines (default: %(default)s)"
    )
    group.add_argument(
        "--precision", default="auto", help="auto, fp32, bf16 or fp16 (default: %(default)s)"
    )
    group.add_argument(
        "--threads", type=int, metavar="N", help="of each process (default: cores / processes)"
    )
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that make samples, for each training process (default: cores / processes, "
        "at most 8; on a CPU 1)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    # By default OpenMP's threads wait by spinning for long, and starve each other as soon as other
    # processes want the cores: steps of 0.5 s then took 10 s. Read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    with training_packages():
        import torch

        from yolact_ros.training.options import TrainingOptions
        from yolact_ros.training.trainer import train
    # Hints at products and at settings that are chosen here.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"lightning\.")
    if arguments.threads is not None and arguments.threads < 1:
        raise InputError(f"threads: expected 1 or more, got {arguments.threads}")
    cores = (os.cpu_count() or 1) // max(arguments.devices, 1) or 1
    if arguments.workers is None:
        arguments.workers = min(cores, 8) if _on_cuda(arguments.device) else 1
    torch.set_num_threads(arguments.threads or cores)
    given = {
        field.name: getattr(arguments, field.name)
        for field in fields(TrainingOptions)
        if field.name != "recipe"
    }
    options = TrainingOptions(recipe=chosen_recipe(arguments), **given)
    trained = train(options, arguments.command_line)
    if int(os.environ.get("LOCAL_RANK", "0")) or int(os.environ.get("NODE_RANK", "0")):
        return 0
    figures = trained.figures
    print(
        f"best at step {trained.best_step} of {trained.steps}: mask AP {figures['mask_ap']:.3f}, "
        f"AP50 {figures['mask_ap50']:.3f}; box AP {figures['box_ap']:.3f}, "
        f"AP50 {figures['box_ap50']:.3f}\n"
        f"{trained.folder.best}"
    )
    return 0


def chosen_recipe(arguments: argparse.Namespace) -> Recipe:
    """The named recipe with what the arguments change."""
    from yolact_ros.training.recipe import RECIPES

    if arguments.recipe not in RECIPES:
        raise InputError(f"recipe: expected {' or '.join(RECIPES)}, got {arguments.recipe!r}")
    changes = {name: getattr(arguments, name) for name in _RECIPE_CHANGES}
    return replace(
        RECIPES[arguments.recipe],
        **{name: value for name, value in changes.items() if value is not None},
    )


def _on_cuda(device: str) -> bool:
    import torch

    return device != "cpu" and torch.cuda.is_available()
