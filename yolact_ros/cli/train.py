# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros train`: a network for one's own objects."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import re
import signal
import sys
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.choices import (
    AUGMENTATIONS,
    CHECKPOINTS,
    CLASS_LOSSES,
    FREEZE_NORMS,
    LOGGERS,
    RECIPES,
    TRAINING_DEVICES,
    TRAINING_PRECISIONS,
)
from yolact_ros.errors import InputError
from yolact_ros.presets import TorchvisionSpec
from yolact_ros.training.data.augmentation import (
    ENTRIES,
    augmentation_named,
    parse_entry,
    with_entries,
)
from yolact_ros.training.processes import is_first_process, require_ranks, share_of_cores

from .options import (
    Kind,
    accepted_by,
    existing_file,
    existing_folder,
    fraction,
    from_to,
    natural,
    non_negative,
    parallel,
    positive,
    positive_int,
    shared,
    training_packages,
)
from .stopping import TrainingSignals

if TYPE_CHECKING:
    from yolact_ros.training.recipe import Recipe


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    data = (
        "--train parts/train.json --train-images pictures "
        "--val parts/val.json --val-images pictures"
    )
    parser = commands.add_parser(
        "train",
        help="train a network on a data set in COCO format",
        description="Train a network on some data sets and validate it on others, in COCO "
        "format. The result, best.safetensors in the output folder, is ready for `predict`, `eval` "
        "and, as parameter `weights`, for the node. Ctrl-C and SIGTERM end it after the current "
        "step, with a checkpoint and the exit status 130 or 143; a second one kills it.",
        examples=(
            "yolact-ros train --preset yolact_resnet50 --weights yolact_resnet50_54_800000.pth "
            f"--recipe short {data} --out run",
            f"yolact-ros train --preset yolact_resnet50 {data} --out run --devices 4 --resume",
        ),
        parents=[
            shared(
                "--preset",
                "--out",
                "--seed",
                "--classes",
                classes={
                    "help": "Take these classes of the data only; unless given, all are taken."
                },
                preset={
                    "required": True,
                    "help": "Architecture of the network, one of %(choices)s. Its classes are "
                    "replaced by those of the training data.",
                },
            )
        ],
    )
    for name, what in (("train", "training"), ("val", "validation")):
        parser.add_argument(
            f"--{name}",
            type=existing_file,
            nargs="+",
            required=True,
            metavar="JSON",
            help=f"Annotations of the {what} data, one or more JSON files in COCO format.",
        )
        parser.add_argument(
            f"--{name}-images",
            type=existing_folder,
            nargs="+",
            required=True,
            help=f"Folder of the {what} images: of each file, or one for all.",
        )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="last",
        choices=CHECKPOINTS,
        help="Continue the interrupted run in the output folder, from its last checkpoint, or from "
        "the previous one, should the last be damaged.",
    )
    parser.add_argument(
        "--data-changed",
        action="store_true",
        help="With --resume, accept data whose files have changed, such as pictures that were "
        "compressed again; there must be as many of the same classes.",
    )
    parser.add_argument(
        "--mend",
        action="store_true",
        help="Leave out or put right what has errors in the data, as `dataset mend` does.",
    )
    _add_start(parser.add_argument_group("initial weights"))
    _add_recipe(
        parser.add_argument_group("recipe", "Unless given, --recipe decides on the options below.")
    )
    _add_schedule(parser.add_argument_group("schedule"))
    _add_machine(parser.add_argument_group("machine"))
    parser.add_argument(
        "--loggers",
        nargs="*",
        choices=LOGGERS,
        default=["tensorboard"],
        metavar="NAME",
        help="Where losses and figures are logged to besides log/*/metrics.csv: %(choices)s, or "
        "nothing.",
    )
    parser.set_defaults(run=run)


def _add_start(group: Any) -> None:
    group.add_argument(
        "--input-size",
        type=from_to("PIXELS", int, 64, 4096),
        help="Side of the network's square input; unless given, the preset's. A larger one finds "
        "smaller objects, and takes more time and memory.",
    )
    group.add_argument(
        "--freeze-stages",
        type=natural,
        default=0,
        metavar="N",
        help="Leave the first N stages of the backbone as they are, with their batch norms; the "
        "first has the layers before it.",
    )
    group.add_argument(
        "--backbone",
        type=accepted_by(TorchvisionSpec.parse),
        metavar="torchvision:NAME",
        help="Classification network of torchvision to use in place of the preset's backbone.",
    )
    group.add_argument(
        "--weights",
        type=existing_file,
        help="Trained network to start from; all tensors that fit are kept if the classes differ.",
    )
    group.add_argument(
        "--weights-class-names",
        nargs="+",
        metavar="NAME",
        help="Classes of --weights in order, without background, if the file does not say; rows of "
        "the classes that are trained are kept.",
    )
    group.add_argument(
        "--backbone-weights",
        type=Kind(
            "SOURCE",
            _source,
            "auto, imagenet, none or an existing file",
            lambda text: text in ("auto", "imagenet", "none") or Path(text).is_file(),
        ),
        default="auto",
        help="Without --weights: imagenet to download torchvision's, a file of a backbone's "
        "(torchvision's or the authors'), none, or auto for imagenet where torchvision has it.",
    )


def _source(text: str) -> str:
    return os.path.expanduser(text)  # which the shell leaves to us in --backbone-weights=~/file


def _add_recipe(group: Any) -> None:
    group.add_argument(
        "--recipe",
        choices=RECIPES,
        default="published",
        help="Settings to start from: published for long runs, short for minutes to hours.",
    )
    group.add_argument(
        "--learning-rate",
        type=positive,
        help="Peak learning rate at batch 8, scaled to the actual one: in proportion to it with "
        "SGD, to its square root with AdamW.",
    )
    group.add_argument(
        "--weight-decay", type=non_negative, help="Weight decay of the optimiser, per step."
    )
    group.add_argument(
        "--augmentation", choices=AUGMENTATIONS, help="Random changes of the training images."
    )
    group.add_argument(
        "--augment",
        type=_entry,
        nargs="+",
        action="extend",
        metavar="NAME=VALUE",
        help="Set single entries of the augmentation, such as mirror=off, rotation=15 or "
        f"scale=0.5:2. The entries: {', '.join(ENTRIES)}.",
    )
    group.add_argument(
        "--empty-images",
        action=argparse.BooleanOptionalAction,
        help="Whether to train on images without objects; they show what is background.",
    )
    group.add_argument(
        "--least-negatives",
        type=natural,
        help="Hardest background places that each image teaches at least, those without objects "
        "too; 0, as published: three for each place of an object alone.",
    )
    group.add_argument("--class-loss", choices=CLASS_LOSSES, help="Loss of the class scores.")
    group.add_argument(
        "--average",
        type=Kind("F", float, "a number from 0 to below 1", lambda value: 0 <= value < 1),
        help="Decay per step of the weights' moving average, which is then kept; it is warmed up. "
        "0 for none.",
    )
    group.add_argument(
        "--gradient-clip", type=non_negative, help="Largest norm of the gradients; 0 for no limit."
    )


def _entry(text: str) -> tuple[str, Any]:
    try:
        return parse_entry(text)
    except InputError as error:
        # argparse itself puts the name of the option before the message
        raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from None


def _add_schedule(group: Any) -> None:
    group.add_argument(
        "--max-steps",
        type=positive_int,
        help="Number of training steps; unless given, 54.6 epochs as published, at least 3000.",
    )
    group.add_argument(
        "--batch-size", type=positive_int, default=8, help="Images per step and process."
    )
    group.add_argument(
        "--repeat-threshold",
        type=fraction,
        default=0.0,
        help="Show images with rare classes more often: with classes that a smaller fraction of "
        "the images has, 0.001 in the LVIS paper; 0 shows all alike.",
    )
    group.add_argument(
        "--early-stopping",
        type=positive_int,
        help="End after N validations without a better mask AP; unless given, all steps are done.",
    )
    group.add_argument(
        "--validate-every",
        type=positive_int,
        help="Steps between validations; unless given, one epoch, for at most 20 validations.",
    )
    group.add_argument(
        "--checkpoint-every",
        type=positive_int,
        help="Steps between checkpoints; unless given, they are made by time alone.",
    )
    group.add_argument(
        "--checkpoint-minutes",
        type=positive,
        default=10.0,
        help="Minutes between checkpoints, from which --resume continues. One is also made with "
        "every validation, and after Ctrl-C or SIGTERM.",
    )
    group.add_argument(
        "--freeze-norms",
        choices=FREEZE_NORMS,
        default="auto",
        help="Whether batch norms keep their statistics; auto: yes when trained weights are "
        "continued with fewer than 6 images per process.",
    )


def _add_machine(group: Any) -> None:
    group.add_argument(
        "--device",
        choices=TRAINING_DEVICES,
        default="auto",
        help="Device to train on; auto is cuda if there is a GPU, else cpu.",
    )
    group.add_argument(
        "--precision",
        choices=TRAINING_PRECISIONS,
        default="auto",
        help="Floating-point format of the network; losses and weights are always in fp32.",
    )
    group.add_argument(
        "--devices",
        type=parallel(1),
        default=1,
        help="Training processes per machine, one for each GPU.",
    )
    group.add_argument(
        "--nodes", type=positive_int, default=1, help="Number of machines that train together."
    )
    group.add_argument(
        "--threads",
        type=parallel(1),
        help="CPU threads per training process; unless given, an even share of the cores, or all "
        "that Slurm gives its task.",
    )
    group.add_argument(
        "--workers",
        type=parallel(0),
        help="Processes that prepare images, per training process; unless given, 1 on a CPU, and "
        "with GPUs an even share of the cores up to 8.",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; after a signal, tell how to go on."""
    with TrainingSignals() as stop:
        try:
            _train(arguments, stop)
            return 0
        except KeyboardInterrupt as stopped:
            return _ended(arguments, stop, str(stopped))


def _train(arguments: argparse.Namespace, stop: TrainingSignals) -> None:
    require_ranks(arguments.devices, arguments.nodes)
    for name in arguments.loggers:
        module = LOGGERS[name].replace("-", "_")
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"--loggers: expected the package {LOGGERS[name]} for {name}, found none: "
                f"pip install {LOGGERS[name]}"
            )
    # By default OpenMP's threads wait by spinning for long, and starve each other as soon as other
    # processes want the cores: steps of 0.5 s then took 10 s. Read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    with training_packages():
        import torch

        from yolact_ros.training.options import TrainingOptions
        from yolact_ros.training.trainer import train
    # They advertise products, and advise on settings that are made here.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"lightning\.")
    cores = share_of_cores(arguments.devices)
    if arguments.workers is None:
        arguments.workers = min(cores, 8) if _on_cuda(arguments.device) else 1
    torch.set_num_threads(arguments.threads or cores)
    given = {
        field.name: getattr(arguments, field.name)
        for field in fields(TrainingOptions)
        if field.name != "recipe"
    }
    options = TrainingOptions(recipe=chosen_recipe(arguments), **given)
    train(options, arguments.command_line, _resuming(arguments.command_line), stop)


def _ended(arguments: argparse.Namespace, stop: TrainingSignals, when: str) -> int:
    number = stop.number or signal.SIGINT
    # The machine's first process would be killed by what started the others for another status.
    status = 0 if os.environ.get("LOCAL_RANK", "0") != "0" else 128 + number
    if not is_first_process():
        return status
    how = "nothing was begun"
    if (arguments.out / "run.json").is_file():
        how = f"to go on: {_resuming(arguments.command_line)}"
    text = f"stopped by {number.name} {when or 'before the first step'}; {how}"
    print(f"yolact-ros: {text}", file=sys.stderr)
    return status


def _resuming(command: str) -> str:
    """The command that goes on with the run that this one begins or resumes."""
    return re.sub(r" --resume([ =](last|previous))?(?= |$)", "", command) + " --resume"


def chosen_recipe(arguments: argparse.Namespace) -> Recipe:
    """Apply the options to the recipe that they name."""
    from yolact_ros.training import recipe

    chosen = recipe.RECIPES[arguments.recipe]
    options = {field.name: getattr(arguments, field.name, None) for field in fields(recipe.Recipe)}
    changes = {name: value for name, value in options.items() if value is not None}
    named = changes.pop("augmentation", None)
    augmentation = augmentation_named(named) if named else chosen.augmentation
    changes["augmentation"] = with_entries(augmentation, arguments.augment or ())
    return replace(chosen, **changes)


def _on_cuda(device: str) -> bool:
    import torch

    return device != "cpu" and torch.cuda.is_available()
