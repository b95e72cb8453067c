# SPDX-License-Identifier: Apache-2.0
"""What a process sets before libraries are loaded: memory, how threads wait, what they write."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_DEFAULT_THRESHOLD = 128 << 10
LARGEST_KEPT = 32 << 20
"""Bytes from which a block is given back to the system when it is freed: glibc's own limit."""
MOST_KEPT = 256 << 20
"""Free bytes at the end of the heap that are not given back."""
_CALM = 5.0
"""Seconds without an image of another size after which blocks are kept again."""

_MALLOC_VARIABLES = (
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_ARENA_MAX",
    "GLIBC_TUNABLES",
)


WAITING_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""Variables by which users choose how OpenMP's threads wait."""
_SPINS = 3000


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Makes malloc keep freed blocks as large as images instead of returning them to the system.

    By default large images get fresh pages, and that the system hands them out zeroed, one fault
    each, costs more than all copies of the image: at 1920x1080, 16 ms from the stamp to the
    callback instead of 9 ms, on two cores.

    Call it before rclpy is imported: the middleware starts threads then, and each would make a heap
    of its own, which later threads would use as well.

    Returns:
        Whether it is so now: not with another C library than glibc, nor if the user has made
        settings of malloc.
    """
    if any(environment.get(name) for name in _MALLOC_VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    # One heap for all threads: what one thread leaves in a heap of its own, no other can use, so
    # the process grew with every network that was loaded, by 6 % altogether.
    options = (
        (_M_MMAP_THRESHOLD, LARGEST_KEPT),
        (_M_TRIM_THRESHOLD, MOST_KEPT),
        (_M_ARENA_MAX, 1),
    )
    return all([mallopt(option, value) for option, value in options])


@contextlib.contextmanager
def for_long(environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Within the block, take larger blocks from the system one by one, as malloc does by default.

    What lives long, such as a network, then leaves no holes among what comes and goes, and all of
    it is given back when it is freed. No effect where `keep_freed_memory` has none.
    """
    keeps = _give_blocks_back(environment)
    try:
        yield
    finally:
        if keeps:
            keep_freed_memory(environment)


def give_back_memory() -> None:
    """Return freed memory to the system and the GPU, which `keep_freed_memory` and torch keep."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    _trim()


class ImageRoom:
    """Follows the sizes of all cameras' images: freed blocks are kept for images of the same size.

    While images come in other sizes than those before them, larger blocks come from the system one
    by one and go back to it. Otherwise each size would leave a hole among what is in use: ten
    thousand images of any size and their depth took 165 MB instead of 110.
    """

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._changed = 0.0  # time.monotonic() of the last change
        self._is_changing = False

    def note(self, topic: str, message: Any) -> None:
        """Look at the size of a message that came on a topic; one of another type has none."""
        size = getattr(message, "height", 0) * getattr(message, "step", 0)
        before, self._sizes[topic] = self._sizes.get(topic, size), size
        now = time.monotonic()
        if size != before:
            self._changed = now
            if not self._is_changing:
                self._is_changing = True
                _give_blocks_back()
                _trim()
        elif self._is_changing and now - self._changed > _CALM:
            self._is_changing = False
            keep_freed_memory()


def _give_blocks_back(environment: Mapping[str, str] = os.environ) -> bool:
    """Take larger blocks from the system one by one, if `keep_freed_memory` has an effect."""
    keeps = keep_freed_memory(environment)
    if keeps:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _DEFAULT_THRESHOLD)
    return keeps


def _trim() -> None:
    """Return to the system what malloc keeps, also from between blocks in use."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def silence_decoders(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenCV write nothing of pictures that it cannot decode: the node says it, throttled.

    Call it before OpenCV is imported.

    Args:
        environment: Of this process; unchanged if the user has made a choice.
    """
    environment.setdefault("OPENCV_LOG_LEVEL", "SILENT")


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Limit how often GNU OpenMP's threads look for work before they sleep.

    Call it before PyTorch is imported. By default they look 300,000 times, which takes the cores
    from every other program that computes; docs/benchmarks/node.md has figures.

    Args:
        environment: Of this process; unchanged if the user has made a choice.
    """
    if not any(environment.get(name) for name in WAITING_VARIABLES):
        environment["GOMP_SPINCOUNT"] = str(_SPINS)
