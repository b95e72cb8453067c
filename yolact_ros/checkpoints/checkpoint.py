# SPDX-License-Identifier: Apache-2.0
"""Load weights into a network, and write them as safetensors with preset and classes."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from yolact_ros.errors import InputError
from yolact_ros.flushing import flush_and_replace
from yolact_ros.network.yolact import Yolact
from yolact_ros.presets import Preset, preset_to_json

from .files import CheckpointError, expanded
from .fitting import (
    Shapes,
    compare_shapes,
    count_of_classes,
    describe_fits,
    fitting_presets,
    listing,
    shapes_of,
)
from .reading import DEFINITION_KEY, PRESET_KEY, WeightsFile, read_network, require_finite

_log = logging.getLogger(__name__)


def load_checkpoint(network: nn.Module, path: str | Path | WeightsFile) -> None:
    """Load weights strictly: every tensor must be known and of the right shape.

    None may be missing but those without which a network finds the same (batch norms' counters, the
    semantic segmentation that only trains). What was taken off the names, or left out around the
    network's tensors, is a line in the log.

    Args:
        network: Changed in place, or not at all if this raises.
        path: A `.pth` file of the authors' training code, `.safetensors`, or what was read of one.

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
    file = read_network(path)
    own = network.state_dict()
    check_fit(file.path, f"the network{_of_preset(network)}", shapes_of(own), file.shapes)
    if wrong := [
        f"{name} ({tensor.dtype})"
        for name, tensor in file.tensors.items()
        if own[name].is_floating_point() and not tensor.is_floating_point()
    ]:
        raise CheckpointError(f"weights: {file.path}: {listing('of another type', wrong)}")
    require_finite(file)
    if file.remark:
        _log.warning("weights: %s: %s", file.path, file.remark)
    network.load_state_dict({**own, **file.tensors})


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
        OSError: It cannot be written, as where the disk is full.
    """
    path = expanded(path)
    if path.suffix != ".safetensors":
        raise InputError(f"path: expected a name that ends in .safetensors, got {path}")
    if not path.parent.is_dir():
        raise InputError(f"path: expected a folder at {path.parent}, found none")
    with replacing(path) as unfinished:
        contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
        try:
            save_file(contiguous, str(unfinished), metadata=dict(metadata))
        except SafetensorError as error:  # which has the system's answer as text alone
            if found := re.search(r"os error (\d+)", str(error)):
                raise OSError(int(found[1]), os.strerror(int(found[1]))) from None
            raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; the file moves to `path` where the block ends.

    Raises:
        InputError: `path` is a folder.
        OSError: It cannot be written; it names `path`.
    """
    if path.is_dir():
        raise InputError(f"out: expected a file name, got the folder {path}")
    unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield unfinished
        publish(unfinished, path)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)  # a full disk is told without a name
        raise
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
    flush_and_replace(finished, path)


def _of_preset(network: nn.Module) -> str:
    if not isinstance(network, Yolact):
        return ""
    return f" of {network.preset.name} ({count_of_classes(len(network.preset.class_names))})"
