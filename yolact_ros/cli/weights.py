# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros weights`: the published files, and what is in a file."""

from __future__ import annotations

import argparse
import math
import textwrap
from pathlib import Path
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.presets import Preset, get_preset, preset_names


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser("weights", help="list, download, convert and inspect weights")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    folder = "folder (default: $YOLACT_ROS_WEIGHTS, or yolact_ros/weights in the user's cache)"

    listing = actions.add_parser(
        "list", help="the presets, their published files, and which are here"
    )
    listing.add_argument("--out", type=Path, metavar="DIR", help=folder)
    listing.set_defaults(run=run_list)

    download = actions.add_parser(
        "download",
        help="fetch the authors' files",
        description="Fetches the authors' published files by preset. A download that was broken "
        "off goes on where it stopped. Size, checksum and tensors are verified.",
    )
    download.add_argument("names", nargs="+", metavar="PRESET", help="such as yolact_base")
    download.add_argument("--out", type=Path, metavar="DIR", help=folder)
    download.add_argument(
        "--endpoint",
        metavar="URL",
        help="a mirror of the Hugging Face Hub (default: $HF_ENDPOINT, or the Hub itself)",
    )
    download.add_argument("--force", action="store_true", help="fetch again what is there already")
    download.add_argument("--quiet", action="store_true", help="no progress bar")
    download.set_defaults(run=run_download)

    convert = actions.add_parser(
        "convert",
        help="write a checkpoint as safetensors with its preset and classes",
        description="Writes a checkpoint's tensors as safetensors that carry their preset and "
        "classes, so that --weights alone is enough. The tensors are not changed.",
    )
    convert.add_argument("source", type=Path, metavar="IN", help=".pth or .safetensors file")
    convert.add_argument("target", type=Path, metavar="OUT", help=".safetensors file to write")
    convert.add_argument(
        "--preset", help="one of those listed (default: as in the file, or the only one that fits)"
    )
    convert.add_argument(
        "--class-names",
        nargs="+",
        default=(),
        metavar="NAME",
        help="of the file's own classes, without background, in the order of training",
    )
    convert.add_argument("--half", action="store_true", help="round to fp16: half the size")
    convert.add_argument("--force", action="store_true", help="replace OUT if it exists")
    convert.set_defaults(run=run_convert)

    inspect = actions.add_parser("inspect", help="say what is in a weights file")
    inspect.add_argument("file", type=Path, metavar="FILE", help=".pth or .safetensors file")
    inspect.set_defaults(run=run_inspect)


def run_list(arguments: argparse.Namespace) -> int:
    """Prints the table of presets."""
    from yolact_ros.checkpoints.download import find_weights, published_file, weights_folder

    folder = arguments.out or weights_folder()
    rows = [("preset", "classes", "input", "tensors", "published file", "here")]
    for preset in map(get_preset, preset_names()):
        local = find_weights(preset, folder) or _shipped(preset)
        here = "no" if local is None else f"{local.name}, {_megabytes(local.stat().st_size)}"
        rows.append(
            (
                preset.name,
                str(len(preset.class_names)),
                str(preset.input_size),
                _megabytes(_tensor_bytes(preset)),
                published_file(preset) or _where(preset),
                here if local is None or local.parent == folder else f"{here} (with the package)",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"\nfolder: {folder}")
    return 0


def run_download(arguments: argparse.Namespace) -> int:
    """Fetches files one after the other."""
    presets = [get_preset(name) for name in arguments.names]  # a wrong name before any download
    from yolact_ros.checkpoints.download import download_weights

    for preset in presets:
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
    """Writes the safetensors file."""
    from yolact_ros.checkpoints.conversion import convert_checkpoint

    if arguments.target.exists() and not arguments.force:
        raise InputError(f"OUT: {arguments.target} exists; --force replaces it")
    conversion = convert_checkpoint(
        arguments.source,
        arguments.target,
        preset=arguments.preset,
        class_names=arguments.class_names,
        half=arguments.half,
        overwrite=arguments.force,
    )
    preset = conversion.preset
    print(f"{arguments.target}: {preset.name} with {len(preset.class_names)} classes")
    if conversion.dropped:
        print(f"left out, as the authors' loader does: {', '.join(conversion.dropped)}")
    return 0


def run_inspect(arguments: argparse.Namespace) -> int:
    """Prints what is in a file."""
    from yolact_ros.checkpoints.checkpoint import (
        DEFINITION_KEY,
        PRESET_KEY,
        is_obsolete,
        preset_of,
        read_checkpoint,
        read_metadata,
    )
    from yolact_ros.checkpoints.fitting import (
        class_count,
        compare_shapes,
        describe_fits,
        expected_shapes,
        fitting_presets,
    )

    state = read_checkpoint(arguments.file)
    obsolete = [name for name in state if is_obsolete(name)]
    kept = {name: tensor for name, tensor in state.items() if name not in obsolete}
    shapes = {name: tuple(tensor.shape) for name, tensor in kept.items()}
    parameters = sum(t.numel() for n, t in kept.items() if not n.endswith(_BUFFERS))
    types = sorted({str(t.dtype).removeprefix("torch.") for t in kept.values() if t.dim()})
    count = class_count(shapes)
    _entry("file", f"{arguments.file} ({_megabytes(arguments.file.stat().st_size)})")
    _entry("tensors", f"{len(kept)}, {parameters / 1e6:.2f} M parameters, {', '.join(types)}")
    _entry("fits", describe_fits(fitting_presets(shapes)).removeprefix("it fits "))
    _entry("classes", "not recognised" if count is None else str(count))
    preset = preset_of(arguments.file)
    if preset is not None:
        mismatch = compare_shapes(expected_shapes(preset), shapes)
        _entry(
            "preset",
            f"{preset.name}, {preset.input_size} pixels, {len(preset.class_names)} classes"
            + (f"; the tensors do not fit it: {mismatch}" if mismatch else ""),
        )
        _entry("class names", ", ".join(preset.class_names))
    if obsolete:
        _entry("obsolete", f"{', '.join(obsolete)}; left out when loading")
    for name, text in sorted(read_metadata(arguments.file).items()):
        if name not in (PRESET_KEY, DEFINITION_KEY):
            _entry(name, text)
    return 0


_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def _entry(name: str, text: str) -> None:
    print(textwrap.fill(text, 100, initial_indent=f"{name:14}", subsequent_indent=" " * 14))


def _shipped(preset: Preset) -> Path | None:
    from yolact_ros.inference import shipped_weights

    return shipped_weights(preset)


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
