# SPDX-License-Identifier: Apache-2.0
"""Reading and writing weights: the authors' `.pth` files and our own safetensors.

Nothing in a file is ever executed: `.pth` is read with `weights_only=True`, and safetensors holds
nothing but tensors and text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

# What the authors' own loader drops: aliases of the backbone's stages, and pyramid levels beyond
# P7, both in files of version 1.0.
_OBSOLETE = re.compile(r"backbone\.layer(?!s)|fpn\.downsample_layers\.(?![01]\.)")
_LISTED = 5


class CheckpointError(ValueError):
    """Weights that cannot be read or do not fit the network."""


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file, on the CPU.

    Raises:
        CheckpointError: The file is missing or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"weights: expected a .pth or .safetensors file, none at {path}")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise CheckpointError(f"weights: cannot read {path}: {_first_line(error)}") from error
    except Exception as error:  # pickle's own errors share no base class
        raise CheckpointError(
            f"weights: expected a dictionary of tensors in {path}, got something that cannot be "
            f"read without executing it: {_first_line(error)}"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f"weights: expected a dictionary of tensors in {path}, got {type(state).__name__}"
        )
    return dict(state)


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text entries that `save_checkpoint` wrote; empty for a `.pth` file."""
    if Path(path).suffix != ".safetensors":
        return {}
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def load_checkpoint(network: nn.Module, path: str | Path) -> None:
    """Loads weights strictly: every tensor must be there, known and of the right shape.

    Args:
        network: Changed in place, or not at all if this raises.
        path: A `.pth` file of the authors' training code, or `.safetensors`.

    Raises:
        CheckpointError: The message lists what is missing, unexpected or of another shape.
    """
    state = {k: v for k, v in read_checkpoint(path).items() if not _OBSOLETE.match(k)}
    own = network.state_dict()
    problems = []
    if missing := [name for name in own if name not in state]:
        problems.append(_listing("missing", missing))
    if unexpected := [name for name in state if name not in own]:
        problems.append(_listing("unexpected", unexpected))
    if reshaped := [
        f"{name} (expected {tuple(own[name].shape)}, got {tuple(tensor.shape)})"
        for name, tensor in state.items()
        if name in own and own[name].shape != tensor.shape
    ]:
        problems.append(_listing("of another shape", reshaped))
    if problems:
        raise CheckpointError(f"weights: {path} does not fit the network: {'; '.join(problems)}")
    network.load_state_dict(state)


def save_checkpoint(network: nn.Module, path: str | Path, metadata: Mapping[str, str]) -> None:
    """Writes all tensors of a network as safetensors.

    Args:
        network: Its `state_dict` is written.
        path: The file to write; it ends in `.safetensors`.
        metadata: Text to keep with the tensors.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"path: expected a name that ends in .safetensors, got {path}")
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, str(path), metadata=dict(metadata))


def _listing(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} {what}: {shown}{more}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
