# SPDX-License-Identifier: Apache-2.0
"""Files of weights: read, fitted to a preset, converted, downloaded.

In: a `.pth` or `.safetensors` file. Out: its tensors in a network, or its preset, or another file.
Nothing in a file is ever executed.

Read `reading` first (`read_weights`: from any file to tensors by their published names; `files`
tells what is no file of weights, `naming` finds a network's tensors among others and takes off what
others put before their names), then `fitting` (which presets have the tensors of a file), `choice`
(the preset to build for a file), `checkpoint` (`load_checkpoint`, `save_checkpoint`), `conversion`
(to safetensors) and `download` (the authors' weights).
"""

from .checkpoint import load_checkpoint, save_checkpoint
from .choice import choose_preset
from .files import CheckpointError
from .reading import preset_of, read_metadata

__all__ = [
    "CheckpointError",
    "choose_preset",
    "load_checkpoint",
    "preset_of",
    "read_metadata",
    "save_checkpoint",
]
