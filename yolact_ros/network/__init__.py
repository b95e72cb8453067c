# SPDX-License-Identifier: Apache-2.0
"""The network and its weights."""

from yolact_ros.checkpoints.checkpoint import (
    CheckpointError,
    load_checkpoint,
    preset_of,
    read_metadata,
    save_checkpoint,
)
from yolact_ros.checkpoints.choice import choose_preset

from .yolact import Yolact, build_network

__all__ = [
    "CheckpointError",
    "Yolact",
    "build_network",
    "choose_preset",
    "load_checkpoint",
    "preset_of",
    "read_metadata",
    "save_checkpoint",
]
