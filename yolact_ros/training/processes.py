# SPDX-License-Identifier: Apache-2.0
"""Which process of a run this is, and how many cores are its own: as the variables say that
Lightning, torchrun and Slurm set."""

from __future__ import annotations

import os

from yolact_ros.errors import InputError
from yolact_ros.provenance import usable_cores

_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""In Lightning's order; the first that is set counts."""
_NO_STEPS = ("bash", "interactive")
"""Slurm's names of a shell, whose commands Lightning does not take for tasks."""


def require_ranks(devices: int, nodes: int) -> None:
    """Check the variables that say which process this is and where the first one waits.

    A process beyond the run's number would wait for others, and they for it, and nobody would say
    what for.

    Args:
        devices: Training processes of each machine.
        nodes: Number of machines.

    Raises:
        InputError: One is no number, or is too large for so many processes.
    """
    ends = {
        "MASTER_PORT": 65536,
        "NODE_RANK": nodes,
        "LOCAL_RANK": devices,
        "RANK": nodes * devices,
    }
    for name, end in ends.items():
        text = os.environ.get(name, "0")
        if not (text.isdecimal() and int(text) < end):
            raise InputError(
                f"{name}: expected a number from 0 to {end - 1} in this variable, with --devices "
                f"{devices} and --nodes {nodes}, got {text!r}"
            )


def is_first_process() -> bool:
    """Whether this is the process, of all of the run, that writes files and prints."""
    if os.environ.get("NODE_RANK", "0") != "0":
        return False
    return next((os.environ[name] for name in _RANKS if name in os.environ), "0") == "0"


def share_of_cores(devices: int) -> int:
    """Return the number of cores for this process, 1 or more.

    Those that it may use are shared by the processes of the machine where Lightning or torchrun
    started them; srun gives each task its own.

    Args:
        devices: Training processes of this machine.
    """
    sharing = 1 if _is_slurm_task() else devices
    return max(usable_cores() // sharing, 1)


def _is_slurm_task() -> bool:
    return (
        "SLURM_PROCID" in os.environ
        and "LOCAL_RANK" not in os.environ  # torchrun within a task
        and os.environ.get("SLURM_JOB_NAME") not in _NO_STEPS
    )
