# SPDX-License-Identifier: Apache-2.0
"""Memory of processes, as Linux tells it in /proc; no torch."""

from __future__ import annotations

import ctypes
from pathlib import Path

from yolact_ros.errors import InputError

_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): sets the peak resident set size to the current one


def reset_peak_memory() -> int:
    """Set this process's peak, "VmHWM", to its current resident set size; return that, in bytes.

    Raises:
        InputError: The system does not let it be set.
    """
    # What the allocator keeps of earlier stages would hide what the next one needs.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError as error:
        raise InputError(f"expected a Linux whose {_CLEAR} can be written: {error}") from error
    return read_sizes()["VmRSS"]


def read_sizes(file: Path = Path("/proc/self/status")) -> dict[str, int]:
    """Read the sizes in a file of lines such as "Rss:  123 kB", in bytes by their names.

    Raises:
        OSError: The system has no such file.
    """
    found = {}
    for line in file.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            found[words[0].rstrip(":")] = int(words[1]) * 1024
    return found
