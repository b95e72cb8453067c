# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros export`: a network as one file for another engine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.choices import EXPORT_FORMATS, EXPORT_OPSETS, EXPORT_PRECISIONS
from yolact_ros.errors import InputError

from .options import (
    DETECTIONS,
    NETWORK,
    detection_options,
    file_ending,
    from_to,
    positive_int,
    require_absent,
    shared,
)

if TYPE_CHECKING:
    from yolact_ros.presets import Preset


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "export",
        help="write a network as an ONNX or torch.export file",
        description="Write a network with its decoding and suppression as one file that needs "
        "neither this package nor another file: ONNX, or a torch.export program. It takes any "
        "number of images, unless --batch says how many. Preset, classes, normalisation and "
        "options are stored in the file's metadata. The file is compared with the network before "
        "it gets its final name.",
        examples=(
            "yolact-ros export --weights yolact_base_54_800000.pth --out yolact_base.onnx",
            "yolact-ros export --preset yolact_demo --out demo.pt2",
            "yolact-ros export --preset yolact_demo --out raw.onnx --raw --batch 1",
        ),
        parents=[
            shared(
                "--out",
                "--precision",
                "--force",
                out={
                    "type": file_ending(*EXPORT_FORMATS.values()),
                    "help": "File to write, which ends in .onnx or .pt2.",
                },
                precision={
                    "choices": EXPORT_PRECISIONS,
                    "default": "fp32",
                    "help": "Floating-point format the network computes in. Inputs and outputs are "
                    "float32 in either case.",
                },
            ),
            shared(*NETWORK, title="network"),
            shared(
                *DETECTIONS,
                title="decoded outputs",
                description="Constants of the file. `Segmenter` and the node ignore them: they "
                "decode the raw outputs with options of their own.",
            ),
        ],
    )
    parser.add_argument(
        "--format",
        choices=tuple(EXPORT_FORMATS),
        help="Format of the file. Unless given, it is torch if --out ends in .pt2, else onnx.",
    )
    parser.add_argument(
        "--raw",
        action="store_true",
        help="Write the network's raw outputs only, for programs that decode them themselves.",
    )
    parser.add_argument(
        "--batch",
        type=positive_int,
        help="Number of images that the file takes; unless given, any. OpenCV's dnn needs it.",
    )
    parser.add_argument(
        "--opset",
        type=from_to("N", int, EXPORT_OPSETS[0], EXPORT_OPSETS[-1]),
        help="ONNX opset; unless given, the lowest that the network can be written in, which most "
        "programs read: 18, and 19 for YOLACT++.",
    )
    parser.add_argument(
        "--no-check",
        action="store_true",
        help="Do not compare the file with the network it was made from.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    out = arguments.out
    format = arguments.format or ("torch" if out.suffix == ".pt2" else "onnx")
    if out.suffix != EXPORT_FORMATS[format]:
        raise InputError(f"--out: expected a name that ends in {EXPORT_FORMATS[format]}, got {out}")
    require_absent("--out", out, force=arguments.force)
    from yolact_ros.export import export_network
    from yolact_ros.inference import SegmenterOptions, load_network  # torch

    options = SegmenterOptions(**detection_options(arguments))
    network = load_network(arguments.preset, arguments.weights, arguments.class_names)
    differences = export_network(
        network,
        out,
        format=format,
        options=options,
        precision=arguments.precision,
        raw=arguments.raw,
        batch=arguments.batch,
        opset=arguments.opset,
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
