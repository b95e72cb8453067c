# SPDX-License-Identifier: Apache-2.0
"""Find the pictures and videos that paths and folders name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolact_ros.datasets.pictures import PICTURE_SUFFIXES
from yolact_ros.errors import InputError
from yolact_ros.recordings.video import VIDEO_SUFFIXES

_SUFFIXES = PICTURE_SUFFIXES | VIDEO_SUFFIXES
_NODE = "ros2 launch yolact_ros yolact.launch.py"
_REMEDY_OF = (
    dict.fromkeys(
        (".heic", ".heif", ".jxl"),
        "convert it to JPEG first, such as by heif-convert PICTURE.heic PICTURE.jpg",
    )
    | dict.fromkeys(
        (".arw", ".cr2", ".cr3", ".dng", ".nef", ".raf"), "develop it to JPEG or PNG first"
    )
    | dict.fromkeys(
        (".bag", ".db3", ".mcap"),
        f"a recording of ROS is read by yolact-ros bag, or played to the node: {_NODE}",
    )
)
"""What to do with files that are not read, by suffix."""


@dataclass(frozen=True)
class Source:
    """One picture or video file.

    Attributes:
        path: The file.
        name: Its path relative to the folder that was named, or its file name.
    """

    path: Path
    name: Path

    @property
    def is_video(self) -> bool:
        """Whether the file is a video, by its suffix."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


@dataclass(frozen=True)
class Found:
    """What the paths name.

    Attributes:
        sources: Pictures and videos in order.
        outputs: Number of pictures and videos left out because they lie in the output folder.
        unreadable: Number of other pictures, videos and recordings in the folders, by suffix.
    """

    sources: list[Source]
    outputs: int
    unreadable: Counter[str]

    def notes(self) -> Iterator[str]:
        """Say in words what was left out."""
        if self.outputs:
            yield f"{_count(self.outputs, 'file')} in --out left out, as results of another run"
        for suffix, number in sorted(self.unreadable.items()):
            yield f"{_count(number, 'file')} of kind {suffix} left out: {_REMEDY_OF[suffix]}"


def find_sources(inputs: Sequence[str], out: Path) -> Found:
    """Find the files that the inputs name; folders are searched with all subfolders.

    Args:
        inputs: Paths as they were typed.
        out: The folder that results go to: what lies in it is no input of a folder around it.

    Raises:
        InputError: An input is none, is of an unknown kind, or nothing was found.
    """
    found: list[Source] = []
    outputs, unreadable, others = 0, Counter[str](), Counter[str]()
    own = out.resolve()
    for text in inputs:
        path = Path(text)
        if not path.is_dir():
            found.append(_named_file(text))
            continue
        within = path.resolve() in own.parents
        for file in sorted(path.rglob("*")):
            suffix = file.suffix.lower()
            # macOS leaves ._NAME beside a file on other systems' disks: no picture, but its name
            if not file.is_file() or file.name.startswith("._"):
                continue
            if suffix not in _SUFFIXES:
                (unreadable if suffix in _REMEDY_OF else others)[suffix] += 1
            elif within and file.resolve().is_relative_to(own):
                outputs += 1
            else:
                found.append(Source(file, file.relative_to(path)))
    if not found:
        raise InputError(_nothing(inputs, outputs, unreadable + others))
    return Found(found, outputs, unreadable)


def _named_file(text: str) -> Source:
    path = Path(text)
    suffix = path.suffix.lower()
    if path.is_file() and suffix in _SUFFIXES:
        return Source(path, Path(path.name))
    if path.is_file() and suffix in _REMEDY_OF:
        raise InputError(f"expected a picture or a video, got {path}: {_REMEDY_OF[suffix]}")
    if path.is_file():
        known = ", ".join(sorted(_SUFFIXES))
        raise InputError(f"expected a file that ends in {known}, got {path}")
    raise InputError(f"expected an image, a video or a folder, {_no_file(text)}")


def _no_file(text: str) -> str:
    """Say what stands in the place of a file, and what to use instead."""
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        return (
            f"got the address {text}: download it first, or record a stream to a file; the node "
            f"takes live images from any driver that publishes them ({_NODE} image:=TOPIC)"
        )
    if re.fullmatch(r"\d+", text) or Path(text).is_char_device():
        return (
            f"got the camera {text}: start its driver and the node ({_NODE} image:=TOPIC), or "
            "record a video first"
        )
    if text == "-":
        return "got - for the standard input: write it to a file first"
    if Path(text).exists():
        return f"got {text}, which is neither a file nor a folder"
    if re.search(r"[*?\[]", text):
        return f"found none that matches {text}; a pattern in quotes is not expanded by the shell"
    return f"found none at {text}"


def _nothing(inputs: Sequence[str], outputs: int, suffixes: Counter[str]) -> str:
    text = f"expected images or videos in {', '.join(inputs)}, found none"
    if outputs:
        text += f" but {_count(outputs, 'file')} in --out"
    if suffixes:
        kinds = ", ".join(suffix or "no suffix" for suffix, _ in suffixes.most_common(5))
        text += f" among {_count(suffixes.total(), 'file')} ({kinds})"
    remedies = {_REMEDY_OF[suffix]: None for suffix in suffixes if suffix in _REMEDY_OF}
    return "; ".join([text, *remedies])


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
