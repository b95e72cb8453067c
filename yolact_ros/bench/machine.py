# SPDX-License-Identifier: Apache-2.0
"""What a machine is, and how fast it multiplies matrices."""

from __future__ import annotations

import os
from typing import Any

import torch

from yolact_ros.inference.device import device_name
from yolact_ros.inference.timing import StageClock
from yolact_ros.provenance import processor_name

_SIDES = {"cpu": 1536, "cuda": 8192}
_REPEATS = 9


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor, GPU, threads and arithmetic settings, as JSON holds them."""
    return {
        "device": str(device),
        "name": device_name(device),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "tf32": {
            "matmul": torch.backends.cuda.matmul.allow_tf32,
            "cudnn": torch.backends.cudnn.allow_tf32,
        },
    }


def measure_gemm(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product of random values."""
    side = _SIDES[device.type]
    generator = torch.Generator(device).manual_seed(0)
    factors = [
        torch.randn(side, side, device=device, generator=generator).to(dtype) for _ in range(2)
    ]
    out = torch.empty_like(factors[0])
    fastest = float("inf")
    for _ in range(_REPEATS):
        clock = StageClock(device)
        torch.mm(factors[0], factors[1], out=out)
        clock.record("product")
        fastest = min(fastest, clock.milliseconds["product"] * 1e-3)
    return 2 * side**3 / fastest
