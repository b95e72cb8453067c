# SPDX-License-Identifier: Apache-2.0
"""The arguments that describe a `Segmenter`, shared by the commands that run one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from yolact_ros.presets import preset_names

if TYPE_CHECKING:
    from yolact_ros.inference import Segmenter

    Arguments = argparse.ArgumentParser | argparse._ArgumentGroup


def add_segmenter_arguments(parser: argparse.ArgumentParser, score_threshold: float) -> None:
    """Adds the arguments that `build_segmenter` reads."""
    group = parser.add_argument_group("network")
    add_weights_arguments(group, ", or with --engine onnxruntime an .onnx file")
    group.add_argument(
        "--engine",
        default="torch",
        help="torch, or onnxruntime for a file of `yolact-ros export` (default: %(default)s)",
    )
    group.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    group.add_argument(
        "--precision", default="auto", help="auto, fp32, fp16 or bf16 (default: %(default)s)"
    )
    group.add_argument(
        "--resize",
        default="square",
        help="square as published, or fit: keep the aspect ratio (default: %(default)s)",
    )
    group.add_argument(
        "--compile",
        default="off",
        help="off, on or auto: torch.compile for the network, which takes about a minute at first "
        "(default: %(default)s)",
    )
    add_detection_arguments(group, score_threshold)


def add_weights_arguments(group: Arguments, further_files: str = "") -> None:
    """Adds the arguments that name a network.

    Args:
        group: Gets them.
        further_files: What `--weights` may be besides, for its help.
    """
    group.add_argument(
        "--preset",
        help=f"one of {', '.join(preset_names())} (default: the one that the weights were made "
        "for, or yolact_demo)",
    )
    group.add_argument(
        "--weights",
        metavar="FILE",
        help=f".pth or .safetensors file{further_files} (default: those shipped or downloaded for "
        "the preset)",
    )
    group.add_argument(
        "--class-names",
        nargs="+",
        default=(),
        metavar="NAME",
        help="the classes that the weights were trained on, if the file does not say",
    )


def add_detection_arguments(group: Arguments, score_threshold: float) -> None:
    """Adds the arguments that `detection_options` reads."""
    group.add_argument(
        "--score-threshold",
        type=float,
        default=score_threshold,
        metavar="S",
        help="keep detections with a score above this (default: %(default)s)",
    )
    group.add_argument(
        "--max-instances",
        type=int,
        default=100,
        metavar="N",
        help="keep at most so many an image (default: %(default)s)",
    )
    group.add_argument(
        "--nms", default="fast", help="fast, cross_class or exact (default: %(default)s)"
    )
    group.add_argument(
        "--nms-iou",
        type=float,
        default=0.5,
        metavar="IOU",
        help="box IoU above which the worse detection falls (default: %(default)s)",
    )
    group.add_argument(
        "--rescoring",
        default="published",
        help="YOLACT++: published, product or class (default: %(default)s)",
    )
    group.add_argument(
        "--classes", nargs="+", default=(), metavar="NAME", help="keep these only (default: all)"
    )


def detection_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of `SegmenterOptions`, which are arguments of `Segmenter`, too."""
    return {
        "score_threshold": arguments.score_threshold,
        "max_instances": arguments.max_instances,
        "nms": arguments.nms,
        "nms_iou": arguments.nms_iou,
        "classes": tuple(arguments.classes),
        "rescoring": arguments.rescoring,
    }


def build_segmenter(arguments: argparse.Namespace) -> Segmenter:
    """Loads the network that the arguments describe."""
    from yolact_ros.inference import Segmenter  # torch: seconds that `--help` need not wait for

    return Segmenter(
        preset=arguments.preset,
        weights=arguments.weights,
        class_names=arguments.class_names,
        engine=arguments.engine,
        device=arguments.device,
        precision=arguments.precision,
        resize=arguments.resize,
        compile=arguments.compile,
        **detection_options(arguments),
    )
