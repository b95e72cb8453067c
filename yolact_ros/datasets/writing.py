# SPDX-License-Identifier: Apache-2.0
"""Writes annotation files in COCO's format, and files that are whole or not there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yolact_ros import __version__
from yolact_ros.flushing import flush_and_replace


def write_content(path: Path, content: Mapping[str, Any], command: str) -> None:
    """Write an annotation file, with the field ``info``, which COCO's own tools want.

    Args:
        path: The file, which appears when it is whole; its folder is made if need be.
        content: The lists ``images``, ``annotations`` and ``categories``, and any other fields. An
            ``info`` that is there is kept.
        command: The command that writes it, such as "dataset split".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps({"info": info_of(command), **content}))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; the file moves to `path` where the block ends.

    It is on the disk before it moves: a power cut leaves what was there before, or all of it. What
    a killed program leaves behind has always the same name, so that little stays.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        yield unfinished
        flush_and_replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def info_of(command: str) -> dict[str, str]:
    """Return the field ``info`` of a file that a command writes."""
    return {"generator": f"yolact-ros {command}", "version": __version__}
