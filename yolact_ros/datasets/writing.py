# SPDX-License-Identifier: Apache-2.0
"""Writes annotation files in COCO's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolact_ros import __version__


def write_content(path: Path, content: Mapping[str, Any], command: str) -> None:
    """Write an annotation file, with the field ``info``, which COCO's own tools want.

    Args:
        path: The file, which appears when it is whole; its folder must exist.
        content: The lists ``images``, ``annotations`` and ``categories``, and any other fields. An
            ``info`` that is there is kept.
        command: The command that writes it, such as "dataset split".
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps({"info": info_of(command), **content}))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def info_of(command: str) -> dict[str, str]:
    """Return the field ``info`` of a file that a command writes."""
    return {"generator": f"yolact-ros {command}", "version": __version__}
