# SPDX-License-Identifier: Apache-2.0
"""Tells which pictures belong together, and must not be in two parts of a data set."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from yolact_ros.errors import InputError, first_few
from yolact_ros.provenance import file_sha256

_SHOWN = 3
# Roboflow's ending: the old suffix, and a number for each changed copy of a picture
_COPY = re.compile(r"_(?:jpe?g|png|bmp|webp)\.rf\.\w+$", re.IGNORECASE)
# the number or the time of a frame, in seconds or seconds and nanoseconds
_FRAME = re.compile(
    r"[_\-. ]*(?:frame|img|image)?[_\-. ]*(?:\d{9,}[_.\-])?\d+"
    r"(?:[_\-. ](?:rgb|colou?r|left|right|image|img|leftImg8bit))?$",
    re.IGNORECASE,
)


def groups_by(images: Sequence[Mapping[str, Any]], by: str) -> list[str]:
    """Name the group of each image.

    Args:
        images: Entries of a file.
        by: "folder": of its file. "recording": its `video_id` if it has one, else its folder and
            its name without the number at the end. Otherwise a regular expression: what it finds in
            the file name, or its groups if it has any.

    Raises:
        InputError: The regular expression does not fit all names.
    """
    if by == "folder":
        return [_path(image).parent.as_posix() for image in images]
    if by == "recording":
        return [_recording(image) for image in images]
    found = [re.search(by, str(image["file_name"])) for image in images]
    if missing := [
        str(i["file_name"]) for i, match in zip(images, found, strict=True) if not match
    ]:
        raise InputError(
            f"--by: expected {by!r} to be found in each file name, got none in "
            f"{first_few(missing, _SHOWN)}"
        )
    return ["/".join(map(str, m.groups())) if m.groups() else m[0] for m in found if m]


def _path(image: Mapping[str, Any]) -> PurePosixPath:
    return PurePosixPath(str(image["file_name"]).replace("\\", "/"))


def _recording(image: Mapping[str, Any]) -> str:
    if "video_id" in image:
        return f"video {image['video_id']}"
    path = _path(image)
    stem = _FRAME.sub("", _COPY.sub("", path.stem))
    return (path.parent / stem).as_posix()


def join_equal_pictures(
    images: Sequence[Mapping[str, Any]], groups: Sequence[str], folder: Path
) -> tuple[list[str], int]:
    """Join the groups that have a picture of the same bytes.

    Args:
        images: Entries of a file.
        groups: Name of each image's group.
        folder: Folder that the file names are relative to; files that are not there are passed
            over.

    Returns:
        The name of each image's group, and the number of pictures that are there before.

    Raises:
        InputError: None of the files is there.
    """
    sizes = defaultdict(list)  # only files of equal size can have the same content
    for index, image in enumerate(images):
        path = folder / image["file_name"]
        if path.is_file():
            sizes[path.stat().st_size].append((index, path))
    if not sizes:
        raise InputError(f"--images: expected the file's images in {folder}, found none of them")
    first: dict[str, int] = {}
    leader = {name: name for name in groups}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    repeated = 0
    for alike in sizes.values():
        for index, path in alike if len(alike) > 1 else ():
            other = first.setdefault(file_sha256(path), index)
            if other != index:
                repeated += 1
                leader[find(groups[index])] = find(groups[other])
    return [find(name) for name in groups], repeated
