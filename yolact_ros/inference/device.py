# SPDX-License-Identifier: Apache-2.0
"""From names of devices and precisions to torch's objects."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext

import torch

from yolact_ros.choices import PRECISIONS
from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.provenance import processor_name

_DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}

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
        _log.info("device: the network runs on the CPU, since %s", _why_no_gpu())
        return torch.device("cpu")
    if name == "auto":
        name = "cuda"
    kind, _, index = name.partition(":")
    if name != "cpu" and (kind != "cuda" or (name != "cuda" and not index.isdecimal())):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:N, got {name!r}")
    if kind == "cuda" and int(index or 0) >= count:
        why = "" if count else f"; {_why_no_gpu()}"
        raise InputError(
            "device: expected one that this machine has "
            f"(cpu, {count} CUDA devices), got {name!r}{why}"
        )
    if name == "cuda":
        # By its number, or it would be another GPU in a thread that chose another.
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device(name)


def _why_no_gpu() -> str:
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA: install a build with it"
    return f"torch {torch.__version__}, built for CUDA {torch.version.cuda}, finds no GPU or driver"


def resolve_precision(name: str, device: torch.device) -> tuple[str, torch.dtype]:
    """The precision to use and its torch type.

    "auto" takes the fastest at the same AP: fp16 on CUDA, bf16 on a CPU with matrix units for it,
    and fp32 elsewhere.

    Raises:
        InputError: The name is not in `yolact_ros.choices.PRECISIONS`, or is "tf32" on a CPU.
    """
    expect_one_of("precision", name, PRECISIONS)
    if name == "tf32" and device.type != "cuda":
        raise InputError("precision: expected another one on a CPU than tf32, which GPUs have")
    if name == "auto":
        name = "fp16" if device.type == "cuda" else "bf16" if cpu_multiplies_bf16() else "fp32"
    return name, _DTYPES[name]


def cpu_multiplies_bf16() -> bool:
    """Whether this processor has matrix units for bf16 (AMX).

    Without them bf16 is slower: on an AMD EPYC without AVX-512 the demo's network takes 426 ms
    instead of 59 on one thread. Processors with AVX512_BF16 alone were not measured.
    """
    # An older torch cannot tell: False then.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    return capabilities is not None and bool(capabilities().get("amx_bf16"))


def device_name(device: torch.device) -> str:
    """The GPU's or the processor's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
