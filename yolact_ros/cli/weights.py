# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros weights`: list, download, convert and inspect files of weights."""

from __future__ import annotations

import argparse
import math
import textwrap
from pathlib import Path
from typing import Any

from yolact_ros.presets import Preset, get_preset, preset_names

from .options import existing_file, file_ending, preset_name, require_absent, shared


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "weights",
        help="list, download, convert and inspect weights",
        description="List, download, convert and inspect files of trained weights.",
        examples=("yolact-ros weights list", "yolact-ros weights download yolact_base"),
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    for add in (_register_list, _register_download, _register_convert, _register_inspect):
        add(actions)


def _folder() -> argparse.ArgumentParser:
    text = "Folder of weights; unless given, $YOLACT_ROS_WEIGHTS or ~/.cache/yolact_ros/weights."
    return shared("--out", out={"required": False, "help": text})


def _register_list(actions: Any) -> None:
    parser = actions.add_parser(
        "list",
        help="list the presets with the published and the local files",
        description="List the presets with the files that the authors published, and which of "
        "them are on this machine.",
        examples=("yolact-ros weights list", "yolact-ros weights list --out my_weights"),
        parents=[_folder()],
    )
    parser.set_defaults(run=run_list)


def _register_download(actions: Any) -> None:
    parser = actions.add_parser(
        "download",
        help="download the authors' files",
        description="Download the authors' published files. An interrupted download continues "
        "where it stopped. Size, checksum and tensors are verified.",
        examples=(
            "yolact-ros weights download yolact_base yolact_plus_base",
            "yolact-ros weights download yolact_resnet50 --endpoint https://hf-mirror.com",
        ),
        parents=[_folder(), shared("--force", "--quiet")],
    )
    parser.add_argument(
        "names",
        nargs="+",
        type=preset_name,
        choices=preset_names(),
        metavar="PRESET",
        help="Preset whose weights to download, one of %(choices)s.",
    )
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        help="Mirror of the Hugging Face Hub; unless given, $HF_ENDPOINT or the Hub itself.",
    )
    parser.set_defaults(run=run_download)


def _register_convert(actions: Any) -> None:
    preset = "Architecture, one of %(choices)s; unless given, as in the file, or the one that fits."
    parser = actions.add_parser(
        "convert",
        help="write a checkpoint as safetensors with its preset and classes",
        description="Write a checkpoint as a safetensors file that carries its preset and classes, "
        "so that --weights alone is enough. The tensors are not changed.",
        examples=(
            "yolact-ros weights convert yolact_base_54_800000.pth yolact_base.safetensors --half",
            "yolact-ros weights convert mine.pth mine.safetensors --preset yolact_base "
            "--class-names screw nut bolt",
        ),
        parents=[shared("--preset", "--class-names", "--force", preset={"help": preset})],
    )
    _add_file(parser, "source", "IN", _WEIGHTS)
    parser.add_argument(
        "target",
        type=file_ending(".safetensors"),
        metavar="OUT",
        help="File to write, which ends in .safetensors.",
    )
    parser.add_argument(
        "--half", action="store_true", help="Round the tensors to fp16, which halves the file."
    )
    parser.set_defaults(run=run_convert)


def _register_inspect(actions: Any) -> None:
    parser = actions.add_parser(
        "inspect",
        help="describe a weights file",
        description="Print what a weights file contains: tensors, classes, metadata, and the "
        "presets that it fits. Of an exported file: the preset, classes, versions and options.",
        examples=(
            "yolact-ros weights inspect yolact_base_54_800000.pth",
            "yolact-ros weights inspect run/best.safetensors",
            "yolact-ros weights inspect yolact_base.onnx",
        ),
    )
    _add_file(parser, "file", "FILE", f"{_WEIGHTS}, or an exported .onnx or .pt2 file")
    parser.set_defaults(run=run_inspect)


_WEIGHTS = "a .pth or .safetensors file"


def _add_file(parser: argparse.ArgumentParser, name: str, metavar: str, what: str) -> None:
    parser.add_argument(name, type=existing_file, metavar=metavar, help=f"Weights to read: {what}.")


def run_list(arguments: argparse.Namespace) -> int:
    """Print a table of the presets and their files."""
    from yolact_ros.checkpoints.download import find_weights, published_file, weights_folder
    from yolact_ros.inference import shipped_weights

    folder = arguments.out or weights_folder()
    rows = [["preset", "classes", "input", "tensors", "published file", "here"]]
    for preset in map(get_preset, preset_names()):
        local = find_weights(preset, folder) or shipped_weights(preset)
        here = "no" if local is None else f"{local.name}, {_megabytes(local.stat().st_size)}"
        rows.append(
            [
                preset.name,
                str(len(preset.class_names)),
                str(preset.input_size),
                _megabytes(_tensor_bytes(preset)),
                published_file(preset) or _where(preset),
                here if local is None or local.parent == folder else f"{here} (with the package)",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"\nfolder: {folder}")
    return 0


def run_download(arguments: argparse.Namespace) -> int:
    """Download one file after the other."""
    from yolact_ros.checkpoints.download import download_weights

    for preset in map(get_preset, arguments.names):
        path = download_weights(
            preset,
            arguments.out,
            endpoint=arguments.endpoint,
            progress=not arguments.quiet,
            overwrite=arguments.force,
        )
        print(f"{preset.name}: {path} ({_megabytes(path.stat().st_size)})")
    return 0


def run_convert(arguments: argparse.Namespace) -> int:
    """Write the safetensors file."""
    from yolact_ros.checkpoints import fitting
    from yolact_ros.checkpoints.conversion import convert_checkpoint

    require_absent("OUT", arguments.target, force=arguments.force)
    preset, remarks = convert_checkpoint(
        arguments.source,
        arguments.target,
        preset=arguments.preset,
        class_names=arguments.class_names,
        half=arguments.half,
    )
    classes = fitting.count_of_classes(len(preset.class_names))
    print(f"{arguments.target}: {preset.name} with {classes}")
    for remark in remarks:
        print(remark)
    return 0


def run_inspect(arguments: argparse.Namespace) -> int:
    """Print what is in a file."""
    from yolact_ros.checkpoints import fitting, reading
    from yolact_ros.checkpoints.files import ONNX, PROGRAM, find_kind
    from yolact_ros.checkpoints.naming import is_backbone_alone

    if find_kind(arguments.file).name in (ONNX, PROGRAM):
        return _inspect_exported(arguments.file)
    file = reading.read_weights(arguments.file)
    kept, shapes = file.tensors, file.shapes
    parameters = sum(t.numel() for n, t in kept.items() if not n.endswith(_BUFFERS))
    types = sorted({str(t.dtype).removeprefix("torch.") for t in kept.values() if t.dim()})
    fits = fitting.describe_fits(fitting.fitting_presets(shapes))
    if is_backbone_alone(kept):
        fits += ": a backbone alone, from which `yolact-ros train --backbone-weights` starts"
    _entry("file", f"{file.path} ({_megabytes(file.path.stat().st_size)})")
    _entry("tensors", f"{len(kept)}, {parameters / 1e6:.2f} M parameters, {', '.join(types)}")
    _entry("fits", fits.removeprefix("it fits "))
    _entry("classes", str(fitting.class_count(shapes) or "not recognised"))
    preset = file.preset
    if preset is not None:
        mismatch = fitting.compare_shapes(fitting.expected_shapes(preset), shapes)
        _entry(
            "preset",
            f"{preset.name}, {preset.input_size} pixels, {len(preset.class_names)} classes"
            + (f"; the tensors do not fit it: {mismatch}" if mismatch else ""),
        )
        _entry("class names", ", ".join(preset.class_names))
    if broken := reading.not_finite(file):
        _entry("broken", fitting.listing("tensors with values that are not finite", broken))
    if file.remark:
        _entry("names", file.remark)
    if file.obsolete:
        _entry("obsolete", f"{', '.join(file.obsolete)}; left out when loading")
    for name, text in sorted(file.metadata.items()):
        if name not in (reading.PRESET_KEY, reading.DEFINITION_KEY):
            _entry(name, text)
    return 0


def _inspect_exported(path: Path) -> int:
    from yolact_ros.export.description import describe

    _entry("file", f"{path} ({_megabytes(path.stat().st_size)})")
    for name, text in describe(path).items():
        _entry(name, text)
    return 0


_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def _entry(name: str, text: str) -> None:
    print(textwrap.fill(text, 100, initial_indent=f"{name:14}", subsequent_indent=" " * 14))


def _tensor_bytes(preset: Preset) -> int:
    from yolact_ros.checkpoints.fitting import expected_shapes

    # Counters of batches are int64, all else float32.
    return sum(math.prod(shape) * (4 if shape else 8) for shape in expected_shapes(preset).values())


def _where(preset: Preset) -> str:
    if preset.published is None:
        return "-"
    return f"see {preset.published.weights_page}" if preset.published.weights_page else "none"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
