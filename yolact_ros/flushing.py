# SPDX-License-Identifier: Apache-2.0
"""Files that a power cut leaves whole, or as they were before."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def flush_and_replace(finished: Path, path: Path) -> None:
    """Move a complete file to its name, which may be that of another file.

    It is on the disk before it has the name, so that a power cut leaves what was there before, or
    all of it.
    """
    flush_file(finished)
    os.replace(finished, path)
    flush_folder(path.parent)


def flush_file(path: Path) -> None:
    """Have a file's content on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Have the names in a folder on the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network drives flush no folders
            os.fsync(folder)
    finally:
        os.close(folder)
