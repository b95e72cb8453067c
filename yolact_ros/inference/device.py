# SPDX-License-Identifier: Apache-2.0
"""From names of devices to torch's objects."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext

import torch

from yolact_ros.errors import InputError
from yolact_ros.provenance import processor_name

_log = logging.getLogger(__name__)


def device_guard(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the current one, by which streams, events and kernels go."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def resolve_device(name: str) -> torch.device:
    """The torch device of "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        InputError: The name is none of these, or this machine has no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto" and not count:
        _log.info("device: the network runs on the CPU, since %s", why_no_gpu())
        return torch.device("cpu")
    if name == "auto":
        name = "cuda"
    kind, _, index = name.partition(":")
    if name != "cpu" and (kind != "cuda" or (name != "cuda" and not index.isdecimal())):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:N, got {name!r}")
    if kind == "cuda" and int(index or 0) >= count:
        why = "" if count else f"; {why_no_gpu()}"
        raise InputError(
            "device: expected one that this machine has "
            f"(cpu, {count} CUDA devices), got {name!r}{why}"
        )
    if name == "cuda":
        # By its number, or it would be another GPU in a thread that chose another.
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device(name)


def why_no_gpu() -> str:
    """Why torch offers no GPU, as a clause."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA: install a build with it"
    return f"torch {torch.__version__}, built for CUDA {torch.version.cuda}, finds no GPU or driver"


def device_name(device: torch.device) -> str:
    """The GPU's or the processor's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
