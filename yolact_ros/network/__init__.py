# SPDX-License-Identifier: Apache-2.0
"""The network and its weights."""

from .checkpoint import CheckpointError, load_checkpoint, read_metadata, save_checkpoint
from .yolact import Yolact, build_network

__all__ = [
    "CheckpointError",
    "Yolact",
    "build_network",
    "load_checkpoint",
    "read_metadata",
    "save_checkpoint",
]
