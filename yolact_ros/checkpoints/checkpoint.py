# SPDX-License-Identifier: Apache-2.0
"""Reading and writing weights: the authors' `.pth` files and our own safetensors.

Nothing in a file is ever executed: `.pth` is read with `weights_only=True`, and safetensors holds
nothing but tensors and text.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from yolact_ros.errors import InputError, first_line
from yolact_ros.network.yolact import Yolact
from yolact_ros.presets import (
    Preset,
    get_preset,
    preset_from_json,
    preset_names,
    preset_to_json,
)

from .fitting import Shapes, compare_shapes, describe_fits, fitting_presets, listing, shapes_of

# What the authors' own loader drops: aliases of the backbone's stages, and pyramid levels beyond
# P7, both in files of version 1.0.
_OBSOLETE = re.compile(r"backbone\.layer(?!s)|fpn\.downsample_layers\.(?![01]\.)")
PRESET_KEY = "preset"
"""Metadata: the preset's name."""
DEFINITION_KEY = "preset_definition"
"""Metadata: all of the preset's fields with its classes, as `preset_to_json` writes them."""


class CheckpointError(InputError):
    """Weights that cannot be read or do not fit the network."""


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint file, to the CPU.

    Raises:
        CheckpointError: The file is missing or holds something else.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        with _open_safetensors(path) as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _check_is_file(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise CheckpointError(f"weights: cannot read {path}: {first_line(error)}") from error
    except Exception as error:  # pickle's own errors share no base class
        raise CheckpointError(
            f"weights: expected a dictionary of tensors in {path}, got something that cannot be "
            f"read without executing it: {first_line(error)}"
        ) from error
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"weights: expected a dictionary of tensors in {path}, got {type(state).__name__}"
        )
    if others := [str(name) for name, value in state.items() if not isinstance(value, Tensor)]:
        raise CheckpointError(
            f"weights: expected a dictionary of tensors in {path}, got one with "
            f"{listing('other entries', others)}"
        )
    return dict(state)


def read_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes of a checkpoint's tensors, without the obsolete ones.

    Raises:
        CheckpointError: As `read_checkpoint`.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        with _open_safetensors(path) as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    else:
        shapes = dict(shapes_of(read_checkpoint(path)))
    return {name: shape for name, shape in shapes.items() if not is_obsolete(name)}


def is_obsolete(name: str) -> bool:
    """Whether the authors' own loader drops a tensor of that name."""
    return _OBSOLETE.match(name) is not None


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the text entries that `save_checkpoint` wrote; empty for a `.pth` file.

    Raises:
        CheckpointError: The file is missing or no safetensors file.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        _check_is_file(path)
        return {}
    with _open_safetensors(path) as file:
        return dict(file.metadata() or {})


def preset_of(path: str | Path) -> Preset | None:
    """The preset that a file's metadata describes; None if it describes none.

    Raises:
        CheckpointError: The file cannot be read, or its preset's definition cannot.
    """
    metadata = read_metadata(path)
    definition = metadata.get(DEFINITION_KEY)
    if definition is not None:
        try:
            return preset_from_json(definition)
        except ValueError as error:
            raise CheckpointError(f"weights: {path}: {DEFINITION_KEY}: {error}") from error
    name = metadata.get(PRESET_KEY)
    return get_preset(name) if name in preset_names() else None


def load_checkpoint(network: nn.Module, path: str | Path) -> None:
    """Load weights strictly: every tensor must be there, known and of the right shape.

    Args:
        network: Changed in place, or not at all if this raises.
        path: A `.pth` file of the authors' training code, or `.safetensors`.

    Raises:
        CheckpointError: The file cannot be read, or does not fit; the message lists what is
            missing, unexpected or of another shape, and names the presets that would fit.

    Example:
        >>> import tempfile
        >>> from yolact_ros.checkpoints import load_checkpoint, save_checkpoint
        >>> from yolact_ros.network import build_network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/demo.safetensors"
        ...     save_checkpoint(build_network("yolact_demo"), path, {"note": "untrained"})
        ...     load_checkpoint(build_network("yolact_demo"), path)
    """
    state = {k: v for k, v in read_checkpoint(path).items() if not is_obsolete(k)}
    own = network.state_dict()
    check_fit(path, f"the network{_of_preset(network)}", shapes_of(own), shapes_of(state))
    if wrong := [
        f"{name} ({tensor.dtype})"
        for name, tensor in state.items()
        if tensor.is_floating_point() != own[name].is_floating_point()
    ]:
        raise CheckpointError(f"weights: {path}: {listing('of another type', wrong)}")
    network.load_state_dict(state)


def check_fit(path: str | Path, expecting: str, expected: Shapes, found: Shapes) -> None:
    """Check that a file has exactly the expected tensors.

    Args:
        path: The file.
        expecting: What expects them, for the error.
        expected, found: Shapes by name.

    Raises:
        CheckpointError: It lists the differences, and the presets that would fit.
    """
    if difference := compare_shapes(expected, found):
        raise CheckpointError(
            f"weights: {path} does not fit {expecting}: {difference}; "
            f"{describe_fits(fitting_presets(found))}"
        )


def save_checkpoint(network: nn.Module, path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write all tensors of a network as safetensors, with its preset and classes.

    Args:
        network: Its `state_dict` is written.
        path: The file to write, ending in `.safetensors`. It appears once it is complete.
        metadata: Further text to keep with the tensors, such as facts about the training.
    """
    described = describe_preset(network.preset) if isinstance(network, Yolact) else {}
    write_tensors(network.state_dict(), path, {**metadata, **described})


def describe_preset(preset: Preset) -> dict[str, str]:
    """The metadata entries from which `preset_of` builds the preset again."""
    return {PRESET_KEY: preset.name, DEFINITION_KEY: preset_to_json(preset)}


def write_tensors(
    state: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str]
) -> None:
    """Write tensors as safetensors; the file appears once it is complete.

    Raises:
        InputError: The name does not end in `.safetensors`, or there is no such folder.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"path: expected a name that ends in .safetensors, got {path}")
    if not path.parent.is_dir():
        raise InputError(f"path: expected a folder at {path.parent}, found none")
    with replacing(path) as unfinished:
        contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
        save_file(contiguous, str(unfinished), metadata=dict(metadata))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; the file moves to `path` where the block ends."""
    unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield unfinished
        publish(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def publish(finished: Path, path: Path) -> None:
    """Move a complete file to its name, with the permissions of a new file.

    Temporary files of libraries are often readable by nobody else.
    """
    sample = finished.with_name(f"{finished.name}.mode")
    sample.touch()
    try:
        finished.chmod(stat.S_IMODE(sample.stat().st_mode))
    finally:
        sample.unlink()
    os.replace(finished, path)


@contextlib.contextmanager
def _open_safetensors(path: Path) -> Iterator[safe_open]:
    """`safe_open`, which raises `CheckpointError`."""
    _check_is_file(path)
    try:
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"weights: cannot read {path}: {first_line(error)}") from error
    with file:
        yield file


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"weights: expected a .pth or .safetensors file, none at {path}")


def _of_preset(network: nn.Module) -> str:
    if not isinstance(network, Yolact):
        return ""
    return f" of {network.preset.name} ({len(network.preset.class_names)} classes)"
