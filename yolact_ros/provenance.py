# SPDX-License-Identifier: Apache-2.0
"""Where results and files come from (versions, processor, revision, hashes), and this machine's
cores and cache."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from yolact_ros import __version__

PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "onnxruntime",
    "openvino",
    "nncf",
    "triton",
    "faster-coco-eval",
    "pycocotools",
    "numpy",
    "opencv-python-headless",
    "matplotlib",
)
"""Distributions whose versions can change a result."""


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python, and of the `PACKAGES` that are installed."""
    found = {"yolact_ros": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            version = getattr(sys.modules.get(package), "__version__", metadata.version(package))
            found[package] = str(version)  # a loaded torch also names its CUDA: 2.8.0+cu128
        except metadata.PackageNotFoundError:
            continue  # such as OpenCV from a Linux distribution
    return found


def usable_cores() -> int:
    """Return the number of cores that this process may use: a cpuset may leave it a few only."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def user_cache() -> Path:
    """Return the folder that this package keeps in the user's cache; it may not be there yet."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "yolact_ros"


def processor_name() -> str:
    """Return the processor's name as the system reports it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_revision(directory: Path) -> str:
    """Return the commit of this project around a directory, with "-dirty" if files differ.

    Returns "unknown" outside a checkout of this project, such as where it is installed within
    another repository, and without git.
    """
    try:
        _git(directory, "ls-files", "--error-unmatch", ":/yolact_ros/provenance.py")
        return _git(directory, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(directory: Path, *words: str) -> str:
    result = subprocess.run(
        ["git", *words], cwd=directory, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
