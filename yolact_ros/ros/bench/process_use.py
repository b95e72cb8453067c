# SPDX-License-Identifier: Apache-2.0
"""How much processor, memory and GPU processes use, as the system tells; NaN where it does not."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from yolact_ros.bench.memory import read_sizes
from yolact_ros.ros.processes.children import ChildProcess, Children

_PROC = Path("/proc")
_MEMORY = {
    "rss_mb": "Rss",
    "pss_mb": "Pss",
    "without_files_mb": "Anonymous",
    "peak_rss_mb": "VmHWM",
}
_PERIOD = 500
"""Milliseconds between two readings of the GPU."""
_LONGEST = 30.0
"""Longest wait for nvidia-smi, s: without a daemon that keeps the driver awake it takes several."""


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor time of some processes so far, in s; NaN: not known."""
    ticks = 0
    try:
        for pid in pids:
            fields = (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    except OSError:
        return math.nan
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_of(pids: Iterable[int]) -> dict[str, float]:
    """Resident memory of some processes together, in MB (10^6 bytes); NaN: not known.

    Returns:
        "rss_mb": all pages; "pss_mb": a page that n processes share counts as 1/n;
        "without_files_mb": pages of no file, such as the weights'; "peak_rss_mb".
    """
    total = dict.fromkeys(_MEMORY, 0.0)
    try:
        for pid in pids:
            folder = _PROC / str(pid)
            sizes = read_sizes(folder / "smaps_rollup") | read_sizes(folder / "status")
            for name, field in _MEMORY.items():
                total[name] += sizes[field] * 1e-6
    except OSError:
        return dict.fromkeys(_MEMORY, math.nan)
    return total


@contextmanager
def gpu_watched(device: str) -> Iterator[list[float]]:
    """Watch the GPU "cuda" or "cuda:N" with nvidia-smi.

    Yields:
        Filled when the block ends: the share of the time in which the GPU worked, 0 to 1, for each
        half second; empty if that is not known.
    """
    use: list[float] = []
    gpu = gpu_of(device) if shutil.which("nvidia-smi") else None
    if gpu is None:
        yield use
        return
    command = [*_query(gpu, "utilization.gpu"), f"--loop-ms={_PERIOD}"]
    with tempfile.NamedTemporaryFile() as output:
        with Children(_LONGEST) as children:
            children.add(ChildProcess("nvidia-smi", command, Path(output.name)))
            yield use
        for line in output.read().splitlines():
            with suppress(ValueError):  # "[N/A]"
                use.append(float(line) / 100)


def gpu_of(device: str) -> str | None:
    """What nvidia-smi calls a device of PyTorch; None if it is no GPU."""
    name, _, number = device.partition(":")
    if name != "cuda":
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    index = int(number or 0)
    names = [part.strip() for part in visible.split(",")] if visible else []
    return names[index] if index < len(names) else str(index)


def gpu_memory(device: str) -> float:
    """Memory in use on a GPU by all processes, in MB (10^6 bytes); NaN: not known."""
    gpu = gpu_of(device)
    if gpu is None:
        return math.nan
    command = _query(gpu, "memory.used")
    try:
        answer = subprocess.check_output(command, stderr=subprocess.DEVNULL, timeout=_LONGEST)
        return float(answer) * 1.048576
    except (OSError, subprocess.SubprocessError, ValueError):
        return math.nan  # not there, or it could not tell


def _query(gpu: str, what: str) -> list[str]:
    return ["nvidia-smi", f"--id={gpu}", f"--query-gpu={what}", "--format=csv,noheader,nounits"]
