# SPDX-License-Identifier: Apache-2.0
"""The format "torch": a program of `torch.export` in a `.pt2` file."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from .exported_network import ExportedNetwork

METADATA = "metadata.json"
"""Name of the extra file in the archive."""

_TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn")


def write_torch(module: ExportedNetwork, images: Tensor, path: Path) -> None:
    """Write the file.

    Args:
        module: The network to export.
        images: An example of its input, of two images or more unless it is for one.
        path: The file.
    """
    program = trace(module, images)
    for node in program.graph.nodes:
        for name in _TRACES:  # paths of this machine
            node.meta.pop(name, None)
    torch.export.save(program, path, extra_files={METADATA: json.dumps(module.file.metadata())})


def trace(module: ExportedNetwork, images: Tensor) -> torch.export.ExportedProgram:
    """Trace the module as a graph for its batch size."""
    shapes = module.dynamic_shapes
    with torch.no_grad():
        return torch.export.export(module, (images,), dynamic_shapes=shapes, strict=False)


def run_torch(path: Path, images: Tensor) -> dict[str, Tensor]:
    """Run a file once."""
    outputs: dict[str, Tensor] = torch.export.load(path).module()(images)
    return outputs
