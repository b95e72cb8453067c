# SPDX-License-Identifier: Apache-2.0
"""Checks the file of an image by its head and its end."""

from __future__ import annotations

from os import SEEK_END
from pathlib import Path

from PIL import Image

_TAIL = 4096  # bytes: some programs append data to the image
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}


def file_fault(path: Path, width: int, height: int) -> str | None:
    """Check a file against the size in pixels that the annotations state; 0: none is stated.

    Returns:
        What was expected and what was found, or None.
    """
    try:
        with Image.open(path) as image:
            size, kind = image.size, image.format
        cut_off = kind == "PNG" and is_cut_off(path, kind)
    except FileNotFoundError:
        return f"expected an image file, got no file {path}"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"expected an image file, got {path} which cannot be read: {error}"
    if cut_off:
        return f"expected an image file, got {path} which is cut off"
    if width and size != (width, height):
        return f"expected {width}x{height} pixels, got {size[0]}x{size[1]} in {path}"
    return None


def is_cut_off(path: Path, kind: str) -> bool:
    """Whether a file of this kind, JPEG or PNG, lacks its end.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(max(file.seek(0, SEEK_END) - _TAIL, 0))
        return _ENDS[kind] not in file.read()
