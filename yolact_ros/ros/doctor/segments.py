# SPDX-License-Identifier: Apache-2.0
"""The shared memory of a camera on this machine: it is the sender's, and may be too small."""

from __future__ import annotations

import pwd
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from yolact_ros.findings import Finding, error, not_checked, ok, warning
from yolact_ros.ros.middleware import loss_advice, silence_advice
from yolact_ros.ros.shared_memory import SHARED_MEMORY, locks_of

_NAME = "camera's memory"


@dataclass(frozen=True)
class Sender:
    """The process that publishes images.

    Attributes:
        pid: Its number.
        owner: The number of the user it belongs to.
        segment: Bytes of its segment; None: it has none, or it cannot be seen.
    """

    pid: int
    owner: int
    segment: int | None


def find_sender(
    gid: Sequence[int], own_gid: Sequence[int], folder: Path = SHARED_MEMORY
) -> Sender | None:
    """Find the process of an endpoint of Fast DDS; None: it runs elsewhere, or cannot be told.

    Fast DDS puts a number of the host and the lower half of the process's number into each gid.

    Args:
        gid: The endpoint's.
        own_gid: That of an endpoint of this process.
        folder: Where the segments are.
    """
    if bytes(gid[:4]) != bytes(own_gid[:4]):
        return None
    low = int.from_bytes(bytes(gid[4:6]), "little")
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    candidates = []
    for pid in pids:
        if pid & 0xFFFF == low:
            with suppress(OSError):
                candidates.append(_look_at(pid, folder))
    holders = [each for each in candidates if each.segment is not None] or candidates
    return holders[0] if len(holders) == 1 else None


def _look_at(pid: int, folder: Path) -> Sender:
    owner = Path(f"/proc/{pid}").stat().st_uid
    sizes = []
    with suppress(OSError):  # another user's
        for lock in locks_of(pid, folder):
            sizes.append(lock.with_name(lock.name.removesuffix("_el")).stat().st_size)
    return Sender(pid, owner, max(sizes, default=None))


def check_sender(sender: Sender | None, user: int, image_bytes: int, middleware: str) -> Finding:
    """Whether images fit into the segment of a camera on this machine, and whose it is.

    Args:
        sender: The camera's process.
        user: The number of this process's user.
        image_bytes: Size of an image; 0: none came.
        middleware: Name of the implementation.
    """
    if sender is None:
        return not_checked(_NAME, "the camera's process was not found on this machine")
    process = f"the camera (process {sender.pid})"
    if sender.owner != user:
        found = f"{process} runs as user {_named(sender.owner)}, this as {_named(user)}"
        level = error if not image_bytes else warning
        return level(_NAME, found, silence_advice(middleware))
    if sender.segment is None:
        return not_checked(_NAME, f"{process} shows no segment of Fast DDS")
    size = f"its segment has {sender.segment / 1e6:.1f} MB"
    if image_bytes > sender.segment:
        return warning(
            _NAME,
            f"{process}: {size}, an image {image_bytes / 1e6:.1f} MB, so that most get lost on "
            "their way unless it is reliable",
            loss_advice(middleware),
        )
    return ok(_NAME, f"{process}: {size}")


def _named(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # as in containers
        return str(user)
