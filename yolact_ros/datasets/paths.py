# SPDX-License-Identifier: Apache-2.0
"""Names of picture files relative to a folder around them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def common_folder(folders: Iterable[Path]) -> Path:
    """Return the innermost folder that holds all of these, as an absolute path."""
    return Path(os.path.commonpath([os.path.abspath(folder) for folder in folders]))


def relative_name(path: Path, folder: Path) -> str:
    """Return the path of a file relative to a folder around it, as `file_name` has it."""
    return Path(os.path.relpath(path, folder)).as_posix()
