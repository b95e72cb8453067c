# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros quantize`: a network in INT8 for ONNX Runtime and OpenVINO."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.errors import InputError

from .options import (
    NETWORK,
    Kind,
    existing_file,
    existing_folder,
    file_ending,
    positive_int,
    require_absent,
    shared,
    training_packages,
)

if TYPE_CHECKING:
    from yolact_ros.datasets.coco import CocoDataset
    from yolact_ros.export.quantize import Quantized
    from yolact_ros.inference.engines.protocol import EngineNetwork
    from yolact_ros.presets import Preset

_SCORE_THRESHOLD = 0.05  # as `yolact-ros eval`


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "quantize",
        help="write a network in INT8 for ONNX Runtime and OpenVINO",
        description="Write a network in INT8 as one ONNX file, which ONNX Runtime, OpenVINO and "
        "the node run like any other. The ranges of its numbers are taken from at most 300 "
        "pictures of --calibrate. The mask AP on the pictures of --val is measured before and "
        "after; if the loss is more than --max-loss, the layers that cost most are left in fp32, "
        "and if that does not help, nothing is written.",
        examples=(
            "yolact-ros quantize --weights run/best.safetensors --calibrate pictures "
            "--val parts/val.json --val-images pictures --out mine_int8.onnx",
            "yolact-ros quantize --weights mine.onnx --calibrate pictures --val parts/val.json "
            "--val-images pictures --max-loss 0.2 --out mine_int8.onnx --force",
        ),
        parents=[
            shared(
                *NETWORK,
                title="network",
                weights={
                    "help": "Trained weights, .pth or .safetensors, or an .onnx file of "
                    "`yolact-ros export` in fp32; unless given, those shipped or downloaded."
                },
            ),
            shared(
                *("--out", "--force", "--quiet"),
                out={"type": file_ending(".onnx"), "help": "File to write, which ends in .onnx."},
                quiet={"help": "Do not show progress."},
            ),
        ],
    )
    parser.add_argument(
        "--calibrate",
        type=existing_folder,
        required=True,
        metavar="IMAGES",
        help="Folder of pictures like those that the network will see, such as those it was "
        "trained on; of more than 300, as many are chosen at random, the same each time.",
    )
    parser.add_argument(
        "--val",
        type=existing_file,
        required=True,
        metavar="JSON",
        help="Annotations of the pictures that the loss is measured on, in COCO format.",
    )
    parser.add_argument(
        "--val-images",
        type=existing_folder,
        required=True,
        metavar="DIR",
        help="Folder of the images that the annotations name.",
    )
    parser.add_argument(
        "--max-loss",
        type=Kind("POINTS", float, "0 to 100", lambda points: 0 <= points <= 100),
        default=0.5,
        help="Points of mask AP, of 100, that the file may lose.",
    )
    parser.add_argument(
        "--limit", type=positive_int, help="Measure on the first N images only; unless given, all."
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    out = arguments.out
    if not out.parent.is_dir():
        raise InputError(f"--out: expected a folder at {out.parent}, found none")
    require_absent("--out", out, force=arguments.force)
    with training_packages():
        import yolact_ros.evaluation.evaluate  # noqa: F401
    from yolact_ros.datasets.merge import read_datasets
    from yolact_ros.datasets.pictures import read_picture
    from yolact_ros.export.quantize import choose_pictures, describe_calibration, quantize_file

    pictures = choose_pictures(arguments.calibrate)
    calibration = describe_calibration(pictures, arguments.calibrate)
    dataset = read_datasets([arguments.val], [arguments.val_images], limit=arguments.limit)
    for remark in dataset.remarks:
        print(f"yolact-ros: {remark}", file=sys.stderr)
    if dataset.lack_of_objects:
        raise InputError(f"--val: {dataset.lack_of_objects}")
    with tempfile.TemporaryDirectory() as folder:
        path, preset = _exported(arguments, Path(folder))
        prepare = _preprocessor(preset)
        result = quantize_file(
            path,
            out,
            pictures,
            lambda picture: prepare([read_picture(picture)], "rgb"),
            calibration=calibration,
            measure=_MaskAp(dataset, preset, arguments.quiet),
            max_loss=arguments.max_loss,
            quiet=arguments.quiet,
        )
    assert result is not None  # there is a measure
    print(f"{out}: {preset.name}, int8, {out.stat().st_size / 1e6:.1f} MB")
    print(describe(result, len(dataset)))
    return 0


def _exported(arguments: argparse.Namespace, folder: Path) -> tuple[Path, Preset]:
    """The exported file to quantise, and its preset."""
    from yolact_ros.checkpoints.choice import agree_on_preset
    from yolact_ros.checkpoints.files import ONNX, find_kind
    from yolact_ros.export import export_network
    from yolact_ros.inference import load_network
    from yolact_ros.inference.engines.onnx_file import read_onnx

    if arguments.weights and find_kind(arguments.weights).name == ONNX:
        if arguments.class_names:
            raise InputError("--class-names: expected none for an .onnx file, which names them")
        described = read_onnx(arguments.weights).described
        agreed = agree_on_preset(described.preset, arguments.weights, arguments.preset)
        return arguments.weights, agreed
    network = load_network(arguments.preset, arguments.weights, arguments.class_names)
    path = folder / "fp32.onnx"
    export_network(network, path, check=False)
    return path, network.preset


def _preprocessor(preset: Preset) -> Any:
    import torch

    from yolact_ros.inference.preprocess import Preprocessor

    return Preprocessor(preset, torch.device("cpu"), torch.float32)


class _MaskAp:
    """Mask AP on a data set; a `yolact_ros.export.quantize.Measure`.

    Args:
        dataset: The pictures and their truth.
        preset: Whose classes are looked for, as far as the data set has them.
        quiet: Whether to show no progress.

    Raises:
        InputError: They have no class in common.
    """

    def __init__(self, dataset: CocoDataset, preset: Preset, quiet: bool) -> None:
        from yolact_ros.evaluation.segment_dataset import unknown_classes

        unknown_classes(preset.class_names, dataset)
        self._dataset = dataset
        self._classes = tuple(name for name in preset.class_names if name in dataset.class_names)
        self._quiet = quiet

    def __len__(self) -> int:
        return len(self._dataset)

    def __call__(self, network: EngineNetwork, numbers: Sequence[int]) -> tuple[float, list[float]]:
        from yolact_ros.evaluation.evaluate import evaluate_results
        from yolact_ros.evaluation.segment_dataset import segment_dataset
        from yolact_ros.inference import Segmenter

        segmenter = Segmenter(
            network=network, score_threshold=_SCORE_THRESHOLD, classes=self._classes
        )
        images = tuple(self._dataset.images[number] for number in numbers)
        part = dataclasses.replace(self._dataset, images=images)
        found = evaluate_results(part, segment_dataset(segmenter, part, progress=not self._quiet))
        # -1 where there is nothing to find
        return max(found.mask.ap, 0.0), [match.quality for match in found.matches]


def describe(result: Quantized, pictures: int) -> str:
    """Summarise what quantising did in a few lines of text."""
    before, after = 100 * result.before, 100 * result.after
    lines = [
        f"mask AP on {pictures} images: {before:.2f} before, {after:.2f} after, "
        f"{after - before:+.2f} points",
        f"{result.layers} layers in int8; always in fp32: {', '.join(result.always)}",
    ]
    lines += [
        f"left in fp32 to lose less: {', '.join(kept.layers)} (mask AP {100 * kept.ap:.2f})"
        for kept in result.kept
    ]
    return "\n".join(lines)
