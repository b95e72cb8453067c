# SPDX-License-Identifier: Apache-2.0
"""Shared memory that killed processes left behind; no ROS."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
_NAMES = ("fastrtps_", "fastdds_")
"""How the names of Fast DDS 2's and 3's begin."""
_PORT = "_port"
_LOCK = "_el"
"""Fast DDS names a segment's lock so; its owner holds it for as long as it lives."""


def left_behind(folder: Path = SHARED_MEMORY) -> tuple[int, int]:
    """Find what Fast DDS left there for processes that were killed.

    Returns:
        Number of segments, and their bytes: memory that nobody gives back until the machine starts
        anew, or `fastdds shm clean` is called.
    """
    count = size = 0
    for lock in folder.glob(f"*{_LOCK}"):
        if not lock.name.startswith(_NAMES):
            continue
        segment = lock.with_name(lock.name.removesuffix(_LOCK))
        try:
            if _is_abandoned(lock):
                size += segment.stat().st_size
                count += 1
        except OSError:
            continue  # another user's, or it has just gone
    return count, size


def locks_of(pid: int, folder: Path = SHARED_MEMORY) -> list[Path]:
    """The locks of the segments that a running process holds.

    Not of ports: others write into those, and Fast DDS itself has to tell them that one is dead.
    """
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            links.append(Path(os.readlink(descriptor)))
    segments = [
        link
        for link in links
        if link.parent == folder and link.name.endswith(_LOCK) and _PORT not in link.name
    ]
    return [lock for lock in segments if not _is_abandoned(lock)]


def remove_abandoned(locks: Iterable[Path]) -> None:
    """Give back those segments whose owner was killed."""
    for lock in locks:
        with suppress(OSError):
            if _is_abandoned(lock):
                lock.with_name(lock.name.removesuffix(_LOCK)).unlink()
                lock.unlink()


def _is_abandoned(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
