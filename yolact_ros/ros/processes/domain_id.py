# SPDX-License-Identifier: Apache-2.0
"""ROS domain ids that nobody else on this machine uses."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HIGHEST = 101
"""The last id whose ports lie below those that Linux hands out to clients."""


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
    path = Path(tempfile.gettempdir()) / f"yolact_ros_domain_{domain_id}.lock"
    try:
        # read only is enough for a lock, and is allowed on another user's file
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except PermissionError:
        return None
    except BlockingIOError:
        os.close(descriptor)
        return None
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
