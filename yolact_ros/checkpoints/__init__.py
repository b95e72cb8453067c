# SPDX-License-Identifier: Apache-2.0
"""Files of weights: read, fitted to a preset, converted, downloaded.

In: a `.pth` or `.safetensors` file. Out: its tensors in a network, or its preset, or another file.
Nothing in a file is ever executed.

Read `checkpoint` first (`load_checkpoint`, `save_checkpoint`, and which published names of tensors
are obsolete), then `fitting` (which presets have the tensors of a file), `choice` (the preset to
build for a file), `conversion` (to safetensors) and `download` (the authors' weights).
"""

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
