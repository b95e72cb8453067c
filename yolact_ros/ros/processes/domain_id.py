# SPDX-License-Identifier: Apache-2.0
"""ROS domain ids that nobody else on this machine uses."""

from __future__ import annotations

import fcntl
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HIGHEST = 101
"""The last id whose ports lie below those that Linux hands out to clients."""
_FOLDER = Path("/tmp")
"""The same for all users of the machine: TMPDIR may be one's own."""


@contextmanager
def reserve() -> Iterator[int]:
    """Reserve a domain id from 1 to 101 for the `with` block."""
    domain_id, descriptor = take()
    try:
        yield domain_id
    finally:
        os.close(descriptor)


def take() -> tuple[int, int]:
    """Return a free id and the descriptor of a locked file; closing it releases the id."""
    candidates = list(range(1, HIGHEST + 1))
    random.shuffle(candidates)
    for domain_id in candidates:
        descriptor = _lock(domain_id)
        if descriptor is None:
            continue
        if _nobody_listens(domain_id):
            return domain_id, descriptor
        os.close(descriptor)
    raise RuntimeError(f"all ROS domain ids from 1 to {HIGHEST} are in use on this machine")


def _lock(domain_id: int) -> int | None:
    try:
        descriptor = _open(_FOLDER / f"yolact_ros_domain_{domain_id}.lock")
    except (PermissionError, FileExistsError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _open(path: Path) -> int:
    """Open a file that any user may lock: for that, reading is enough."""
    try:
        # Linux refuses O_CREAT in /tmp for a file of another user, also to root.
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL)
    os.fchmod(descriptor, 0o644)  # whatever the umask
    return descriptor


def _nobody_listens(domain_id: int) -> bool:
    """Whether no participant has a discovery port of the domain (DDSI-RTPS 2.3, 9.6.1.1).

    The one of all participants is not open where they stay on this machine; that of the first is.
    """
    first = 7400 + 250 * domain_id
    for port in (first, first + 10):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as discovery:
            try:
                discovery.bind(("", port))
            except OSError:
                return False
    return True
