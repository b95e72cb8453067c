# SPDX-License-Identifier: Apache-2.0
"""What processes use of the processor, of memory and of the GPU, by the system's own files."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np

from yolact_ros.ros.processes.parent import end_with_parent

_PROC = Path("/proc")
_MEMORY = {"rss_mb": "Rss", "pss_mb": "Pss", "without_files_mb": "Anonymous"}
_PERIOD = 500
"""Milliseconds between two looks at the GPU."""


def processor_seconds(pid: int) -> float | None:
    """Seconds of one core that a process has used so far; None: the system does not tell."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> dict[str, float] | None:
    """Resident memory of a process in MB (10^6 bytes); None: the system does not tell.

    Returns:
        "rss_mb": all its pages; "pss_mb": a page that n processes share counts as 1/n;
        "without_files_mb": those that belong to no file, such as a library's, which all processes
        share: weights and what else a program makes; "peak_rss_mb": the largest "rss_mb" so far.
    """
    try:
        pages = _kilobytes(_PROC / str(pid) / "smaps_rollup")
        status = _kilobytes(_PROC / str(pid) / "status")
    except OSError:
        return None
    memory = {name: pages[field] * 1.024e-3 for name, field in _MEMORY.items()}
    return memory | {"peak_rss_mb": status["VmHWM"] * 1.024e-3}


def _kilobytes(file: Path) -> dict[str, int]:
    """The fields of a file of lines such as "Rss:  123 kB"."""
    found = {}
    for line in file.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            found[words[0].rstrip(":")] = int(words[1])
    return found


class GpuWatch:
    """Looks at one GPU with nvidia-smi while the `with` block lasts.

    Args:
        device: As PyTorch names it: "cuda" or "cuda:N"; anything else is not looked at.
        environment: Whose CUDA_VISIBLE_DEVICES says which GPU that is.
    """

    def __init__(self, device: str, environment: Mapping[str, str] = os.environ) -> None:
        self._gpu = gpu_of(device, environment) if shutil.which("nvidia-smi") else None
        self._use: list[float] = []
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> GpuWatch:
        if self._gpu is not None:
            self._process = subprocess.Popen(
                _query(self._gpu, "gpu=utilization.gpu", f"--loop-ms={_PERIOD}"),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                preexec_fn=end_with_parent(),
            )
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._thread is not None:
            self._process.terminate()
            self._process.wait()
            self._thread.join()

    @property
    def use(self) -> float | None:
        """Mean share of the time in which the GPU worked, 0 to 1; None: nobody tells."""
        return float(np.mean(self._use)) / 100 if self._use else None

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            self._use += _numbers(line)


def gpu_of(device: str, environment: Mapping[str, str]) -> str | None:
    """What nvidia-smi calls a device of PyTorch; None: it is no GPU."""
    name, _, number = device.partition(":")
    if name != "cuda":
        return None
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    index = int(number or 0)
    names = [part.strip() for part in visible.split(",")] if visible else []
    return names[index] if index < len(names) else str(index)


def gpu_memory(device: str, environment: Mapping[str, str] = os.environ) -> float | None:
    """Memory in use on a GPU, by whomever, in MB (10^6 bytes); None: nobody tells."""
    gpu = gpu_of(device, environment)
    found = _numbers(_ask(gpu, "gpu=memory.used"))
    return found[0] * 1.048576 if found else None


def gpu_memory_of(
    pids: Collection[int], device: str, environment: Mapping[str, str] = os.environ
) -> float | None:
    """Memory of some processes on a GPU, MB (10^6 bytes).

    None: nobody tells, as in a container, where the driver knows the processes by other ids.
    """
    gpu = gpu_of(device, environment)
    rows = [_numbers(line) for line in _ask(gpu, "compute-apps=pid,used_memory").splitlines()]
    used = [row[1] for row in rows if len(row) == 2 and row[0] in pids]
    return sum(used) * 1.048576 if used else None


def _ask(gpu: str | None, what: str) -> str:
    if gpu is None or not shutil.which("nvidia-smi"):
        return ""
    result = subprocess.run(_query(gpu, what), capture_output=True, text=True, check=False)
    return result.stdout if result.returncode == 0 else ""


def _query(gpu: str, what: str, *others: str) -> list[str]:
    return ["nvidia-smi", f"--id={gpu}", f"--query-{what}", "--format=csv,noheader,nounits",
            *others]  # fmt: skip


def _numbers(line: str) -> list[float]:
    """Those of a line of CSV; none when one is not a number, such as "[N/A]"."""
    try:
        return [float(word) for word in line.split(",")]
    except ValueError:
        return []
