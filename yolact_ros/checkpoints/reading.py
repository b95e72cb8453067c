# SPDX-License-Identifier: Apache-2.0
"""Read the tensors of a file of weights, under the names that our networks have.

Nothing in a file is ever executed: `.pth` is read with `weights_only=True`, and safetensors holds
nothing but tensors and text. The content tells which of the two a file is.
"""

from __future__ import annotations

import contextlib
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from yolact_ros.errors import plain
from yolact_ros.presets import Preset, get_preset, preset_from_json, preset_names

from .files import SAFETENSORS, CheckpointError, expanded, find_kind, require_weights
from .fitting import Shapes, listing, shapes_of
from .naming import find_tensors, is_backbone_alone, is_obsolete, is_own, without_prefix

PRESET_KEY = "preset"
"""Metadata: the preset's name."""
DEFINITION_KEY = "preset_definition"
"""Metadata: all of the preset's fields with its classes, as `preset_to_json` writes them."""

_CLASS_IN_PICKLE = re.compile(r"(?:GLOBAL|class) '?([\w.]+)")
_RESUMED = "pytorch-lightning_version"


@dataclass(frozen=True)
class WeightsFile:
    """The content of a file of weights.

    Attributes:
        path: The file, absolute or relative, without `~`.
        tensors: By the names that a network has, on the CPU, without the obsolete ones.
        metadata: Text entries of a safetensors file.
        obsolete: Names of tensors that the authors' own loader drops as well.
        remark: What was taken off or left out to get at the tensors; empty if nothing was.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    obsolete: tuple[str, ...] = ()
    remark: str = ""

    @property
    def shapes(self) -> Shapes:
        """The tensors' shapes by name."""
        return shapes_of(self.tensors)

    @property
    def preset(self) -> Preset | None:
        """The preset that the metadata describe; None if they describe none.

        Raises:
            CheckpointError: The preset's definition cannot be read.
        """
        return _described(self.path, self.metadata)


def read_weights(path: str | Path) -> WeightsFile:
    """Read a `.pth` or `.safetensors` file, of a network or of a backbone.

    Raises:
        CheckpointError: The file is missing or holds something else.
    """
    path = expanded(path)
    if require_weights(path) == SAFETENSORS:
        with _open_safetensors(path) as file:
            places = [""]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    else:
        places, tensors = _read_torch(path)
        metadata = {}
    prefix, tensors, outside = without_prefix(tensors)
    obsolete = () if is_backbone_alone(tensors) else tuple(filter(is_obsolete, tensors))
    return WeightsFile(
        path,
        {name: tensor for name, tensor in tensors.items() if name not in obsolete},
        metadata,
        obsolete,
        _remark(places, prefix, outside),
    )


def read_network(weights: str | Path | WeightsFile) -> WeightsFile:
    """Read the weights of a whole network, unless they have been read already.

    Raises:
        CheckpointError: The file is missing, or holds a backbone alone or something else.
    """
    file = weights if isinstance(weights, WeightsFile) else read_weights(weights)
    if is_backbone_alone(file.tensors):
        raise CheckpointError(
            f"weights: expected a whole network, got the backbone alone in {file.path}; "
            f"`yolact-ros train --backbone-weights {file.path}` starts from it"
        )
    return file


def is_whole_network(file: WeightsFile) -> bool:
    """Whether a file has tensors of other parts of our networks than the backbone."""
    return any(is_own(name) and not name.startswith("backbone.") for name in file.tensors)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the text entries that `save_checkpoint` wrote; empty for other files than safetensors.

    Raises:
        CheckpointError: The file is missing, or named `.safetensors` and something else.
    """
    path = expanded(path)
    kind = find_kind(path)
    if path.suffix == ".safetensors":
        require_weights(path)
    if kind.name != SAFETENSORS or kind.fault:
        return {}
    with _open_safetensors(path) as file:
        return dict(file.metadata() or {})


def preset_of(path: str | Path) -> Preset | None:
    """The preset that a file's metadata describe; None if they describe none.

    Raises:
        CheckpointError: The file cannot be read, or its preset's definition cannot.
    """
    return _described(expanded(path), read_metadata(path))


def require_finite(file: WeightsFile) -> None:
    """Check that all values are numbers.

    Raises:
        CheckpointError: Some are NaN or infinite: the network would find nothing.
    """
    if broken := not_finite(file):
        raise CheckpointError(
            f"weights: {file.path}: {listing('with values that are not finite', broken)}; the "
            "training went wrong before it was written: take an earlier file"
        )


def not_finite(file: WeightsFile) -> list[str]:
    """Names of the tensors that hold NaN or infinite values."""
    return [
        name
        for name, tensor in file.tensors.items()
        if tensor.is_floating_point()
        and not name.endswith("num_batches_tracked")  # a count that fp16 may not hold
        and not tensor.float().isfinite().all()
    ]


def _read_torch(path: Path) -> tuple[list[str], dict[str, Tensor]]:
    """Where a file has a network's tensors, the place that is taken first, and these tensors."""
    content = read_pickled(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"weights: expected a dictionary of tensors in {path}, got {type(content).__name__}"
        )
    best = path.with_name("best.safetensors")
    if _RESUMED in content and best.is_file():
        raise CheckpointError(
            f"weights: {path} is the state that an interrupted training goes on from; the weights "
            f"are in {best}, with their preset and class names"
        )
    found = find_tensors(content)
    if not found:
        names = listing("entries without tensors", list(map(str, content))) if content else "none"
        raise CheckpointError(f"weights: expected a dictionary of tensors in {path}, got {names}")
    return [place for place, _ in found], found[0][1]


def read_pickled(path: Path) -> Any:
    """Read what torch.save wrote, without executing anything.

    Raises:
        CheckpointError: It holds more than tensors, numbers and text, or is broken. What torch says
            of it is not passed on.
    """
    try:
        with path.open("rb") as file:  # by its name torch would judge it
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_not_tensors(path, str(error))) from None
    except Exception as error:  # whatever a broken file leads to
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise CheckpointError(f"weights: cannot read {path}: out of memory") from None
        if isinstance(error, OSError) and error.strerror:
            raise CheckpointError(f"weights: cannot read {path}: {error.strerror}") from None
        raise CheckpointError(
            f"weights: {path} is cut off or damaged: its {path.stat().st_size} bytes are not what "
            "was written; download or copy it again"
        ) from None


def _not_tensors(path: Path, refusal: str) -> str:
    """Why a pickle was not read, in words, from the reason that torch gives."""
    remedy = f"torch.save(model.state_dict(), {path.name!r})"
    found = _CLASS_IN_PICKLE.search(refusal)
    if found is None:
        return (
            f"weights: {path} cannot be read without executing what is in it, or is damaged. Save "
            f"the tensors alone where it was made: {remedy}"
        )
    other = ""
    if found[1].startswith(("ultralytics.", "models.yolo", "models.common", "mmdet.", "mmcv.")):
        other = " It is another program's network, not YOLACT."
    return (
        f"weights: {path} holds Python objects ({found[1]}) and not tensors alone: a whole model, "
        f"or settings beside the weights. Reading those would execute what is in them.{other} Save "
        f"the tensors alone where it was made: {remedy}"
    )


@contextlib.contextmanager
def _open_safetensors(path: Path) -> Iterator[safe_open]:
    """`safe_open`, which raises `CheckpointError`."""
    try:
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"weights: {path} is a damaged .safetensors file; download or copy it again"
        ) from error
    with file:
        yield file


def _described(path: Path, metadata: Mapping[str, str]) -> Preset | None:
    definition = metadata.get(DEFINITION_KEY)
    if definition is not None:
        try:
            return preset_from_json(definition)
        except ValueError as error:
            raise CheckpointError(f"weights: {path}: {DEFINITION_KEY}: {error}") from error
    name = metadata.get(PRESET_KEY)
    return get_preset(name) if name in preset_names() else None


def _remark(places: list[str], prefix: str, outside: list[str]) -> str:
    parts = []
    if places[0]:
        others = ", ".join(map(repr, places[1:]))
        but = f" (and not those of {others})" if others else ""
        parts.append(f"the tensors of its entry {places[0]!r} were taken{but}")
    if prefix:
        parts.append(f"{prefix!r} was taken off the tensors' names")
    if outside:
        parts.append(listing("left out", outside))
    return plain(", ".join(parts))
