# SPDX-License-Identifier: Apache-2.0
"""What a machine is."""

from __future__ import annotations

import os
from typing import Any

import torch

from yolact_ros.inference.device import device_name
from yolact_ros.provenance import processor_name


def describe_machine(device: str) -> dict[str, Any]:
    """Processor, GPU and threads, as JSON holds them."""
    return {
        "device": device,
        "name": device_name(torch.device(device)),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
