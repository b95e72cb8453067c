# SPDX-License-Identifier: Apache-2.0
"""What the commands share: their parser, argument types, and options declared once.

argparse refuses wrong values with these types before any command imports torch.
"""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, NoReturn, TypeVar

from yolact_ros.choices import (
    COMPILE_MODES,
    ENGINE_CHOICES,
    NMS_KINDS,
    PRECISIONS,
    RESCORING_KINDS,
    RESIZE_KINDS,
)
from yolact_ros.errors import InputError
from yolact_ros.presets import get_preset, preset_names
from yolact_ros.provenance import usable_cores

if TYPE_CHECKING:
    from yolact_ros.inference import Segmenter

T = TypeVar("T")
Number = TypeVar("Number", int, float)


class HelpFormatter(argparse.HelpFormatter):
    """Show each option's default and the metavar of its kind, and keep the lines of examples."""

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        if isinstance(action.type, Kind):
            return action.type.metavar
        return super()._get_default_metavar_for_optional(action)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        if not action.help or isinstance(default, bool) or default in (None, argparse.SUPPRESS, ()):
            return action.help
        shown = " ".join(map(str, default)) if isinstance(default, list) else str(default)
        return f"{action.help.removesuffix('.')} (default: {shown.replace('%', '%%')})."

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("examples:") else super()._fill_text(text, width, indent)


class CommandParser(argparse.ArgumentParser):
    """The parser of one command, or of all of them.

    Args:
        examples: Complete command lines, shown below the options.
        **others: As for `argparse.ArgumentParser`.
    """

    def __init__(self, *, examples: Sequence[str] = (), **others: Any) -> None:
        if examples:
            others["epilog"] = "\n  ".join(["examples:", *examples])
        super().__init__(formatter_class=HelpFormatter, **others)
        self.examples = tuple(examples)
        self.add_argument(
            "--traceback",
            action="store_true",
            default=argparse.SUPPRESS,  # else a command's parser would reset one given before it
            help="Show where in the program an error arose, as YOLACT_ROS_TRACEBACK=1 does.",
        )

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2."""
        self.exit(2, f"{self.prog}: {message.removeprefix('argument ')}; see {self.prog} --help\n")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """An argparse type that checks values.

    Attributes:
        metavar: Placeholder for the value in the help.
        make: Converts the text; raises ValueError to refuse it.
        expected: What a value has to be, for the error message.
        allows: Whether a value is allowed.
    """

    metavar: str
    make: Callable[[str], T]
    expected: str
    allows: Callable[[T], bool] = lambda value: True

    def __call__(self, text: str) -> T:
        try:
            value = self.make(text)
            if self.allows(value):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected {self.expected}, got {text!r}")


def accepted_by(check: Callable[[str], object]) -> Callable[[str], str]:
    """Make an argparse type of a function that raises `InputError` for a wrong value."""

    def parse(text: str) -> str:
        try:
            check(text)
        except InputError as error:
            # argparse itself puts the name of the option before the message
            raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from None
        return text

    return parse


_INTEGERS_END = 2**31
"""What libraries take as a number of steps or as a seed is below."""


def _integer(text: str) -> int:
    value = int(text)
    if value >= _INTEGERS_END:
        raise argparse.ArgumentTypeError(f"expected an integer below {_INTEGERS_END}, got {text!r}")
    return value


def _path(text: str) -> Path:
    """A path; the shell leaves `~` alone in `--weights=~/file`."""
    return Path(os.path.expanduser(text))


def _may_write(folder: Path) -> bool:
    """Whether a folder, or the one that it would be made in, takes files; nothing is made here."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def file_ending(*suffixes: str) -> Kind[Path]:
    """Make the kind of a path with one of these suffixes, in lower or upper case."""
    expected = (
        f"a file name that ends in {', '.join(suffixes)}, not a folder, where files may be written"
    )
    return Kind(
        "FILE",
        _path,
        expected,
        lambda path: path.suffix.lower() in suffixes and output_file.allows(path),
    )


def from_to(metavar: str, make: type[Number], low: float, high: float) -> Kind[Number]:
    """Make the kind of a number from `low` to `high`."""
    expected = f"{'an integer' if make is int else 'a number'} from {low:g} to {high:g}"
    return Kind(metavar, make, expected, lambda value: low <= value <= high)


def parallel(low: int) -> Kind[int]:
    """Make the kind of a number of processes or threads, `low` or more.

    Each takes memory and time of the machine, and some hundreds too many would stop it: so at most
    four for each core that may be used, or 16.
    """
    cores = usable_cores()
    most = max(4 * cores, 16)
    expected = f"an integer from {low} to {most}, as this process may use {cores} cores"
    return Kind("N", int, expected, lambda value: low <= value <= most)


class ImageSize(NamedTuple):
    """An image's size in pixels, typed and printed as width x height, such as 1280x720."""

    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> ImageSize:
        """Parse "1280x720"; anything else raises ValueError."""
        found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
        if not found:
            raise ValueError(text)
        return cls(width=int(found[1]), height=int(found[2]))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


positive_int = Kind("N", _integer, "an integer of 1 or more", lambda value: value >= 1)
natural = Kind("N", _integer, "an integer of 0 or more", lambda value: value >= 0)
fraction = from_to("F", float, 0, 1)
positive = Kind("X", float, "a number above 0", lambda value: 0 < value < math.inf)
non_negative = Kind("X", float, "a number of 0 or more", lambda value: 0 <= value < math.inf)
image_size = Kind("WIDTHxHEIGHT", ImageSize.parse, "WIDTHxHEIGHT in pixels, such as 1280x720")
topic_name = Kind(
    "TOPIC",
    str,
    "a name such as /camera/image_raw",
    lambda text: re.fullmatch(r"/?[A-Za-z_]\w*(/\w+)*", text, re.ASCII) is not None,
)
output_file = Kind(
    "FILE",
    _path,
    "a file name, not a folder, where files may be written",
    lambda path: not path.is_dir() and _may_write(path.parent),
)
existing_file = Kind("FILE", _path, "an existing file", Path.is_file)
existing_folder = Kind("DIR", _path, "an existing folder", Path.is_dir)
output_folder = Kind("DIR", _path, "a folder, not a file, where files may be written", _may_write)
device_name = Kind(
    "DEVICE",
    str,
    "auto, cpu, cuda or cuda:N",
    lambda text: re.fullmatch(r"auto|cpu|cuda(:\d+)?", text) is not None,
)

preset_name = accepted_by(get_preset)

NETWORK = ("--preset", "--weights", "--class-names")
"""The options that choose a network: arguments of `load_network` and `Segmenter`."""
RUNNING = ("--engine", "--device", "--precision", "--resize", "--compile")
"""The options that determine how the network runs: arguments of `Segmenter`."""
DETECTIONS = ("--score-threshold", "--max-instances", "--nms", "--nms-iou", "--rescoring",
              "--classes")  # fmt: skip
"""The options that `detection_options` reads."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "--preset": dict(
        type=preset_name,
        choices=preset_names(),
        metavar="NAME",
        help="Architecture, one of %(choices)s; unless given, that of the weights, or yolact_demo.",
    ),
    "--weights": dict(
        type=existing_file,
        help="Trained weights, .pth or .safetensors; unless given, those shipped or downloaded.",
    ),
    "--class-names": dict(
        nargs="+",
        default=(),
        metavar="NAME",
        help="Classes of the weights in order, without background, if the file does not say.",
    ),
    "--engine": dict(
        choices=ENGINE_CHOICES,
        default="auto",
        help="Library that runs the network; auto takes torch for weights, and onnxruntime or, "
        "where that is missing, openvino for an exported .onnx file.",
    ),
    "--device": dict(
        type=device_name,
        default="auto",
        help="Where to run the network: cpu, cuda, cuda:N for GPU N, or auto for a GPU if any.",
    ),
    "--precision": dict(
        choices=PRECISIONS,
        default="auto",
        help="Floating-point format of the network; auto picks the fastest for the device, tf32 is "
        "fp32 with products of 10 bits, on GPUs only.",
    ),
    "--resize": dict(
        choices=RESIZE_KINDS,
        default="square",
        help="Stretch images to a square as published, or fit them with their aspect ratio kept.",
    ),
    "--compile": dict(
        choices=COMPILE_MODES,
        default="off",
        help="Whether to use torch.compile, which takes about a minute at the start.",
    ),
    "--score-threshold": dict(
        type=fraction, default=0.15, help="Discard detections with this score or less."
    ),
    "--max-instances": dict(
        type=positive_int, default=100, help="Largest number of instances per image."
    ),
    "--nms": dict(
        choices=NMS_KINDS,
        default="fast",
        help="Non-maximum suppression: fast or exact within classes, or fast across classes.",
    ),
    "--nms-iou": dict(
        type=fraction, default=0.5, help="Box IoU above which the lower-scoring detection goes."
    ),
    "--rescoring": dict(
        choices=RESCORING_KINDS,
        default="published",
        help="How the mask quality that YOLACT++ predicts changes the scores.",
    ),
    "--classes": dict(
        nargs="+",
        default=(),
        metavar="NAME",
        help="Keep these classes only; unless given, all are kept.",
    ),
    "--image-size": dict(
        type=image_size,
        default=ImageSize(height=720, width=1280),
        help="Width and height of the images, in pixels.",
    ),
    "--threads": dict(
        type=parallel(1), help="Number of CPU threads; unless given, PyTorch decides."
    ),
    "--seed": dict(
        type=natural, default=0, help="Seed of all random numbers, which makes runs repeatable."
    ),
    "--annotations": dict(
        type=existing_file,
        required=True,
        metavar="JSON",
        help="Annotations of the data set, a JSON file in COCO format.",
    ),
    "--images": dict(
        type=existing_folder, required=True, help="Folder of the images that the annotations name."
    ),
    "--out": dict(
        type=output_folder, required=True, help="Folder to write to, created if it is missing."
    ),
    "--json": dict(type=output_file, help="Also write the measurements to this JSON file."),
    "--picture": dict(type=output_file, help="Also plot the measurements to this PNG file."),
    "--force": dict(action="store_true", help="Replace the output file if it exists."),
    "--quiet": dict(action="store_true", help="Do not show a progress bar."),
}


def shared(
    *names: str, title: str = "options", description: str | None = None, **changes: dict[str, Any]
) -> argparse.ArgumentParser:
    """Make a parent parser (`parents=[...]`) with some of the options declared here.

    Args:
        *names: The options, such as "--preset".
        title: Heading in the help. Parents with the same heading share one section.
        description: A sentence below the heading.
        **changes: Arguments of `add_argument` to change in this command, by option:
            `score_threshold={"default": 0.3}`.
    """
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group(title, description)
    for name in names:
        group.add_argument(name, **_OPTIONS[name] | changes.pop(_key(name), {}))
    assert not changes, changes
    return parser


def require_new(path: Path, force: bool | None = None) -> None:
    """Check that a data set's file to write is not there.

    Args:
        path: The file.
        force: Value of `--force`; None: the command has no such option.

    Raises:
        InputError: It is there, and nobody forces us.
    """
    if path.exists() and not force:
        hint = "" if force is None else "; --force replaces it"
        raise InputError(f"{path}: expected no such file yet, got one{hint}")


def require_absent(option: str, path: Path, *, force: bool) -> None:
    """Check that an output file is not there unless `--force` is given.

    Raises:
        InputError: It is.
    """
    if path.exists() and not force:
        raise InputError(f"{option}: {path} exists; --force replaces it")


def segmenter_options(
    score_threshold: float, *, in_fp32: bool = False
) -> list[argparse.ArgumentParser]:
    """Make the parent parsers with all options that `build_segmenter` reads.

    Args:
        score_threshold: The default.
        in_fp32: Whether the network runs in fp32 unless told otherwise, whatever is faster here,
            so that accuracy does not depend on the machine.
    """
    precision = {
        "default": None,
        "help": "Floating-point format of the network; unless given, fp32, or that of an exported "
        "file. auto picks the fastest for the device.",
    }
    return [
        shared(*NETWORK, *RUNNING, title="network", precision=precision if in_fp32 else {}),
        shared(*DETECTIONS, title="detections", score_threshold={"default": score_threshold}),
    ]


def _key(name: str) -> str:
    return name.removeprefix("--").replace("-", "_")


def _values(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    return {_key(name): getattr(arguments, _key(name)) for name in names}


def detection_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Collect the fields of `SegmenterOptions`, which `Segmenter` takes as well."""
    return {**_values(arguments, DETECTIONS), "classes": tuple(arguments.classes)}


def build_segmenter(arguments: argparse.Namespace) -> Segmenter:
    """Load the network that the options describe."""
    from yolact_ros.inference import Segmenter  # torch: seconds that `--help` need not wait for
    from yolact_ros.inference.engines.prepare import resolve_engine

    network = _values(arguments, NETWORK + RUNNING)
    if network["precision"] is None:
        in_torch = resolve_engine(network["engine"], network["weights"]) == "torch"
        network["precision"] = "fp32" if in_torch else "auto"
    return Segmenter(**network, **detection_options(arguments))


@contextmanager
def training_packages() -> Iterator[None]:
    """Report what to install if an import in this block fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"the packages for training and evaluation are not installed ({error}). In a checkout, "
            "install with: pip install -r requirements/train.txt"
        ) from error
