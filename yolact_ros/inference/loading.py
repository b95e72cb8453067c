# SPDX-License-Identifier: Apache-2.0
"""From a preset, a file or class names, as the user gives them, to a network with weights."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from yolact_ros.checkpoints import choose_preset, load_checkpoint
from yolact_ros.checkpoints.choice import warn_of_assumed_classes
from yolact_ros.checkpoints.download import find_weights, published_file
from yolact_ros.checkpoints.reading import WeightsFile, read_network
from yolact_ros.errors import InputError
from yolact_ros.network import Yolact, build_network
from yolact_ros.presets import Preset, get_preset, with_classes


def shipped_weights(preset: Preset) -> Path | None:
    """The weights that come with the package for a preset; None if there are none."""
    path = resources.files("yolact_ros") / "weights" / f"{preset.name}.safetensors"
    return Path(str(path)) if path.is_file() else None


def load_network(
    preset: str | Preset | None = None,
    weights: str | Path | None = None,
    class_names: Sequence[str] = (),
) -> Yolact:
    """Build a network and load its weights: in evaluation mode, on the CPU, in fp32.

    The arguments are those of `Segmenter`.

    Raises:
        InputError: There are no weights, or they do not fit (`CheckpointError`).
    """
    if weights is not None:
        file = read_network(weights)
        chosen = choose_preset(file, preset, class_names)
    else:
        chosen = get_preset(preset or "yolact_demo")
        if class_names:
            chosen = with_classes(chosen, class_names)
        file = _found(chosen)
        # The name of the authors' file, in that folder, says whose classes it has.
        if not class_names and file.preset is None and file.path.name != published_file(chosen):
            warn_of_assumed_classes(file, chosen)
    network = build_network(chosen)
    load_checkpoint(network, file)
    return network.eval()


def _found(preset: Preset) -> WeightsFile:
    """Read the weights that come with the package or were downloaded for a preset."""
    path = shipped_weights(preset) or find_weights(preset)
    if path is None:
        raise InputError(
            f"weights: expected a file for preset {preset.name!r}, got none; `yolact-ros weights "
            f"download {preset.name}` fetches the authors', and only yolact_demo comes with some"
        )
    return read_network(path)
