# SPDX-License-Identifier: Apache-2.0
"""How much processor, memory and GPU processes use, as the system tells."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from yolact_ros.bench.memory import read_sizes
from yolact_ros.ros.processes.parent import end_with_parent

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


def processor_seconds(pids: Iterable[int]) -> float | None:
    """Processor time of some processes so far, in s; None: the system does not tell."""
    ticks = 0
    try:
        for pid in pids:
            fields = (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    except OSError:
        return None
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_of(pids: Iterable[int]) -> dict[str, float] | None:
    """Resident memory of some processes together, in MB (10^6 bytes); None: not known.

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
        return None
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
    process = subprocess.Popen(
        _query(gpu, "gpu=utilization.gpu", f"--loop-ms={_PERIOD}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=end_with_parent(),
    )
    try:
        yield use
    finally:
        process.terminate()
        try:
            # what it says in an hour fits into the pipe
            output, _ = process.communicate(timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            output = ""
        use += [percent / 100 for line in output.splitlines() for percent in _numbers(line)]


def gpu_of(device: str) -> str | None:
    """What nvidia-smi calls a device of PyTorch; None if it is no GPU."""
    name, _, number = device.partition(":")
    if name != "cuda":
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    index = int(number or 0)
    names = [part.strip() for part in visible.split(",")] if visible else []
    return names[index] if index < len(names) else str(index)


def gpu_memory(device: str) -> float | None:
    """Memory in use on a GPU by all processes, in MB (10^6 bytes); None: not known."""
    found = _numbers(_ask(device, "gpu=memory.used"))
    return found[0] * 1.048576 if found else None


def gpu_memory_of(pids: Collection[int], device: str) -> float | None:
    """Memory of some processes on a GPU, in MB (10^6 bytes).

    None: not known, as in a container, where the driver knows the processes by other ids.
    """
    rows = [_numbers(line) for line in _ask(device, "compute-apps=pid,used_memory").splitlines()]
    used = [row[1] for row in rows if len(row) == 2 and row[0] in pids]
    return sum(used) * 1.048576 if used else None


def _ask(device: str, what: str) -> str:
    gpu = gpu_of(device)
    if gpu is None:
        return ""
    command = _query(gpu, what)
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_LONGEST
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""  # not there, or it could not tell


def _query(gpu: str, what: str, *others: str) -> list[str]:
    return ["nvidia-smi", f"--id={gpu}", f"--query-{what}", "--format=csv,noheader,nounits",
            *others]  # fmt: skip


def _numbers(line: str) -> list[float]:
    """Numbers in a line of CSV; none if one of them is no number, such as "[N/A]"."""
    try:
        return [float(word) for word in line.split(",")]
    except ValueError:
        return []
