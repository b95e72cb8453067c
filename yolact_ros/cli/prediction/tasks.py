# SPDX-License-Identifier: Apache-2.0
"""Where the outputs of each picture and video go, decided before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from yolact_ros.errors import InputError

from .sources import Source


@dataclass(frozen=True)
class Task:
    """A picture or video to segment.

    Attributes:
        source: The file.
        known: Its entry in the data set whose ids are kept, if there is one.
        overlay: The overlay to write, if any.
        picture: The picture to write to a new data set, or the folder for a video's frames, if any.
        file_name: Name in the results; in a new data set, of `picture` relative to all pictures.
    """

    source: Source
    known: Mapping[str, Any] | None
    overlay: Path | None
    picture: Path | None
    file_name: str


def plan_tasks(
    sources: Sequence[tuple[Source, Mapping[str, Any] | None]],
    out: Path,
    *,
    overlays: bool,
    data_set: bool,
) -> list[Task]:
    """Choose the outputs' names: those of the inputs, but different and none of an input.

    Args:
        sources: Pictures and videos, each with its known entry.
        out: The folder that is written to.
        overlays: Whether overlays are wanted.
        data_set: Whether a data set is made: pictures go to images/, overlays to overlays/.

    Raises:
        InputError: An output would replace an input.
    """
    inputs = {source.path.resolve() for source, _ in sources}
    taken: set[str] = set()

    def free(wanted: Path) -> Path:
        path, number = wanted, 1
        while str(path).casefold() in taken:  # some file systems do not tell A.png from a.png
            number += 1
            path = wanted.with_stem(f"{wanted.stem}-{number}")
        taken.add(str(path).casefold())
        if path.resolve() in inputs:
            raise InputError(
                f"--out: expected a folder other than the input's, got {out}, where {path} is an "
                "input that would be overwritten"
            )
        return path

    images, drawn = out / "images", out / "overlays" if data_set else out
    tasks = []
    for source, known in sources:
        overlay = free(drawn / _overlay_name(source)) if overlays else None
        picture = None
        file_name = source.name.as_posix()
        if data_set:
            picture = free(images / _picture_name(source, known))
            file_name = picture.relative_to(images).as_posix()
        elif known:
            file_name = known["file_name"]
        tasks.append(Task(source, known, overlay, picture, file_name))
    return tasks


def _picture_name(source: Source, known: Mapping[str, Any] | None) -> Path:
    name = Path(known["file_name"]) if known else source.name
    return source.name if name.is_absolute() or ".." in name.parts else name


def _overlay_name(source: Source) -> Path:
    if source.is_video:
        return source.name.with_suffix(".mp4")
    return source.name if cv2.haveImageWriter(source.name.name) else source.name.with_suffix(".png")
