# SPDX-License-Identifier: Apache-2.0
"""Where a file of weights comes from."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import lightning
import numpy as np
import torch
import torchvision

from yolact_ros import __version__


def git_revision(directory: Path) -> str:
    """The commit that a directory is checked out at, with "-dirty" after it where files differ.

    "unknown" outside a repository or without git.
    """
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()


def provenance(command: str, seed: int) -> dict[str, str]:
    """Text entries for a weights file: command, seed, revision, versions, machine."""
    return {
        "command": command,
        "seed": str(seed),
        "revision": git_revision(Path(__file__).parent),
        "yolact_ros": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "lightning": lightning.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }
