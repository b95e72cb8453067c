# SPDX-License-Identifier: Apache-2.0
"""Starting weights of a training run: a trained network's, or a backbone's from ImageNet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torchvision
from torch import Tensor

from yolact_ros.checkpoints import CheckpointError, choose_preset
from yolact_ros.checkpoints.checkpoint import is_obsolete, read_checkpoint
from yolact_ros.errors import InputError
from yolact_ros.network import Yolact
from yolact_ros.presets import Preset, ResNetSpec, TorchvisionSpec

_HEAD = "prediction_layers.0.conf_layer."
_SEMANTIC = "semantic_seg_conv."
_MASK_IOU = "maskiou_net.maskiou_net.10."
_RESNETS = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
}


@dataclass(frozen=True)
class Start:
    """Where the tensors of a network came from before training.

    Attributes:
        kept: Names of tensors copied whole.
        kept_rows: Names of tensors of which the rows of some classes were copied.
        new: Names of tensors with random values.
        classes: Classes whose rows were copied.
        new_classes: Classes that the weights do not know.
    """

    kept: tuple[str, ...]
    kept_rows: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    new_classes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"kept: {len(self.kept)} tensors"]
        if self.kept_rows:
            names = ", ".join(("background", *self.classes))
            lines.append(f"kept in part: {len(self.kept_rows)} tensors (the rows of {names})")
        if self.new_classes:
            lines.append(f"new: the rows of {', '.join(self.new_classes)}")
        if self.new:
            shown = ", ".join(self.new[:4]) + (", ..." if len(self.new) > 4 else "")
            lines.append(f"new: {len(self.new)} tensors ({shown})")
        return "\n".join(lines)


def start_from_weights(network: Yolact, path: Path) -> Start:
    """Copy everything that a trained network has in common with this one.

    Tensors with one row (or one row per prior) for each class are copied row by row, for the
    background and for the classes that both networks know by name; other classes start at random.

    Args:
        network: Changed in place.
        path: A `.pth` or `.safetensors` file.

    Raises:
        CheckpointError: The file does not say which classes it knows, or is of another
            architecture.
    """
    source = choose_preset(path)
    state = {k: v for k, v in read_checkpoint(path).items() if not is_obsolete(k)}
    own = network.state_dict()
    same_classes = source.class_names == network.preset.class_names
    rows_of = _ClassRows(source, network.preset)
    kept, rows, new = [], [], []
    for name, tensor in own.items():
        found = state.get(name)
        if found is not None and not same_classes and rows_of.fit(name, tensor, found):
            own[name] = rows_of.merged(name, tensor, found)
            rows.append(name)
        elif found is not None and found.shape == tensor.shape:
            own[name] = found.to(tensor.dtype)
            kept.append(name)
        else:
            new.append(name)
    if any(name.startswith("backbone.") for name in new):
        raise CheckpointError(
            f"weights: expected a network with the backbone of {network.preset.name}, got "
            f"{source.name} in {path}, which shares {len(kept)} of {len(own)} tensors"
        )
    network.load_state_dict(own)
    names = network.preset.class_names
    return Start(
        kept=tuple(kept),
        kept_rows=tuple(rows),
        new=tuple(new),
        classes=tuple(name for name in names if name in source.class_names),
        new_classes=tuple(name for name in names if name not in source.class_names),
    )


def imagenet_name(preset: Preset) -> str | None:
    """Return torchvision's name of a preset's backbone; None if it has no such network."""
    spec = preset.backbone
    if isinstance(spec, TorchvisionSpec):
        return spec.name
    if isinstance(spec, ResNetSpec) and spec.width == 64:
        return _RESNETS.get((spec.block, spec.blocks))
    return None


def start_backbone(network: Yolact, choice: str) -> Start | None:
    """Copy a backbone that torchvision trained on ImageNet.

    Deformable convolutions get the weights of the plain ones and start with zero offsets.

    Args:
        network: Changed in place.
        choice: "imagenet" downloads the weights (once, to torch's cache), "auto" does so if
            torchvision has this backbone, "none" does nothing; otherwise the path of a torchvision
            weights file.

    Returns:
        None if nothing was copied.

    Raises:
        InputError: torchvision has no such backbone, or its weights cannot be downloaded or do not
            fit.
    """
    name = imagenet_name(network.preset)
    if choice == "none" or (choice == "auto" and name is None):
        return None
    if name is None:
        raise InputError(
            "backbone_weights: expected none (torchvision does not have the backbone of "
            f"{network.preset.name}), got {choice!r}"
        )
    state = _downloaded(name) if choice in ("auto", "imagenet") else read_checkpoint(Path(choice))
    renamed = {_own_name(key, network.preset): value for key, value in state.items()}
    own = network.state_dict()
    kept = [key for key in own if key in renamed and renamed[key].shape == own[key].shape]
    # A deformable convolution has a bias and offsets besides.
    missing = [
        key
        for key in own
        if key.startswith("backbone.") and key not in kept and not _of_deformation(key)
    ]
    if missing:
        raise InputError(
            f"backbone_weights: expected torchvision's {name}, got weights in which "
            f"{len(missing)} tensors are missing or of another shape, {missing[0]} among them"
        )
    network.load_state_dict(own | {key: renamed[key] for key in kept})
    return Start(kept=tuple(kept), new=tuple(key for key in own if key not in kept))


def _downloaded(name: str) -> Mapping[str, Tensor]:
    try:
        weights = torchvision.models.get_model_weights(name)["DEFAULT"]
        return dict(weights.get_state_dict(progress=True, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"backbone_weights: expected to download torchvision's {name}, got {error}; give its "
            "file instead, or none"
        ) from error


def _own_name(name: str, preset: Preset) -> str:
    """Return our name of a tensor of torchvision's classification network."""
    if isinstance(preset.backbone, TorchvisionSpec):
        return f"backbone.body.{name}"
    return "backbone." + re.sub(r"^layer(\d)\.", lambda stage: f"layers.{int(stage[1]) - 1}.", name)


def _of_deformation(name: str) -> bool:
    return "conv_offset_mask." in name or name.endswith("conv2.bias")


class _ClassRows:
    """The rows of tensors that belong to single classes, in two networks.

    Args:
        source, target: Presets of the two networks, with their classes.
    """

    def __init__(self, source: Preset, target: Preset) -> None:
        self._source, self._target = source, target
        there = {name: index for index, name in enumerate(source.class_names)}
        known = [name for name in target.class_names if name in there]
        self._there = [there[name] for name in known]
        self._here = [target.class_names.index(name) for name in known]

    def fit(self, name: str, own: Tensor, found: Tensor) -> bool:
        """Whether the tensors have rows for each class, and differ in nothing else."""
        if not name.startswith((_HEAD, _SEMANTIC, _MASK_IOU)):
            return False
        views = self._by_class(name, own, self._target), self._by_class(name, found, self._source)
        return views[0].shape[0] == views[1].shape[0] and views[0].shape[2:] == views[1].shape[2:]

    def merged(self, name: str, own: Tensor, found: Tensor) -> Tensor:
        """Return our tensor with the rows of the background and of common classes replaced."""
        result = own.clone()
        here = self._by_class(name, result, self._target)
        there = self._by_class(name, found, self._source).to(own.dtype)
        background = 1 if name.startswith(_HEAD) else 0
        here[:, :background] = there[:, :background]
        here[:, [i + background for i in self._here]] = there[
            :, [i + background for i in self._there]
        ]
        return result

    @staticmethod
    def _by_class(name: str, tensor: Tensor, preset: Preset) -> Tensor:
        """(priors or 1, classes, ...); the class head's rows go prior by prior."""
        classes = preset.num_classes if name.startswith(_HEAD) else len(preset.class_names)
        return tensor.view(-1, classes, *tensor.shape[1:])
