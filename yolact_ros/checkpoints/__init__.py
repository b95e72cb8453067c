# SPDX-License-Identifier: Apache-2.0
"""Files of weights: read and write, fit to a preset, choose the preset, convert, download."""

from .checkpoint import (
    CheckpointError,
    load_checkpoint,
    preset_of,
    read_metadata,
    save_checkpoint,
)
from .choice import choose_preset

__all__ = [
    "CheckpointError",
    "choose_preset",
    "load_checkpoint",
    "preset_of",
    "read_metadata",
    "save_checkpoint",
]
