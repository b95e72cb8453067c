# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros export`: a network as one file for another engine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.errors import InputError

from .options import add_detection_arguments, add_weights_arguments, detection_options

if TYPE_CHECKING:
    from yolact_ros.presets import Preset


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "export",
        help="write a network as ONNX or torch.export file",
        description="Writes a network with its decoding and suppression as one file that needs "
        "neither this package nor another file: ONNX (opset 20) or a program of torch.export. The "
        "batch is dynamic; preset, classes, normalisation and options stand in the metadata. The "
        "file is compared with the network before it gets its name.",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=".onnx or .pt2 file to write"
    )
    parser.add_argument(
        "--format", help="onnx or torch (default: torch if FILE ends in .pt2, else onnx)"
    )
    parser.add_argument(
        "--precision",
        default="fp32",
        help="fp32 or fp16: arithmetic of the network; its inputs and outputs are float32 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--no-check", action="store_true", help="do not compare the file with the network"
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_weights_arguments(parser.add_argument_group("network"))
    add_detection_arguments(
        parser.add_argument_group(
            "decoded outputs",
            "Constants of the file. Segmenter and the node have options of their own: they read "
            "its raw outputs.",
        ),
        score_threshold=0.15,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    out, format = arguments.out, arguments.format
    if out.exists() and not arguments.force:
        raise InputError(f"out: {out} exists; --force replaces it")
    from yolact_ros.export import export_network
    from yolact_ros.inference import SegmenterOptions, load_network  # torch

    options = SegmenterOptions(**detection_options(arguments))
    network = load_network(arguments.preset, arguments.weights, arguments.class_names)
    differences = export_network(
        network,
        out,
        format=format or ("torch" if out.suffix == ".pt2" else "onnx"),
        options=options,
        precision=arguments.precision,
        check=not arguments.no_check,
    )
    print(f"{out}: {_describe(network.preset)}, {arguments.precision}, {_megabytes(out)}")
    if differences:
        print(
            "largest difference from torch in fp32, relative to an output's largest value: "
            + ", ".join(f"{name} {value:.0e}" for name, value in differences.items())
        )
    return 0


def _describe(preset: Preset) -> str:
    side = preset.input_size
    return f"{preset.name}, {side}x{side} pixels, {len(preset.class_names)} classes"


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
