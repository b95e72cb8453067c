# SPDX-License-Identifier: Apache-2.0
"""Starting weights of a training run: a trained network's, or a backbone's from ImageNet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torchvision
from torch import Tensor

from yolact_ros.checkpoints import CheckpointError
from yolact_ros.checkpoints.choice import assumed_classes
from yolact_ros.checkpoints.fitting import (
    class_count,
    count_of_classes,
    fitting_presets,
    names_of_fits,
)
from yolact_ros.checkpoints.naming import without_prefix
from yolact_ros.checkpoints.reading import (
    WeightsFile,
    is_whole_network,
    read_network,
    read_weights,
    require_finite,
)
from yolact_ros.errors import InputError
from yolact_ros.network import Yolact
from yolact_ros.presets import (
    Preset,
    ResNetSpec,
    TorchvisionSpec,
    get_preset,
    preset_names,
    with_classes,
)

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
        remarks: What was assumed of the weights, a line each.
    """

    kept: tuple[str, ...]
    kept_rows: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    new_classes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [*self.remarks, f"kept: {len(self.kept)} tensors"]
        if self.kept_rows:
            names = ", ".join(("background", *self.classes))
            lines.append(f"kept in part: {len(self.kept_rows)} tensors (the rows of {names})")
        if self.new_classes:
            lines.append(f"new: the rows of {', '.join(self.new_classes)}")
        if self.new:
            shown = ", ".join(self.new[:4]) + (", ..." if len(self.new) > 4 else "")
            lines.append(f"new: {len(self.new)} tensors ({shown})")
        return "\n".join(lines)


def start_from_weights(network: Yolact, path: Path, class_names: Sequence[str] = ()) -> Start:
    """Copy everything that a trained network has in common with this one.

    Tensors with one row (or one row per prior) for each class are copied row by row, for the
    background and for the classes that both networks know by name; other classes start at random.
    Deformable convolutions may get the weights of plain ones, and then start with zero offsets.

    Args:
        network: Changed in place.
        path: A `.pth` or `.safetensors` file.
        class_names: Names of the file's classes, if it does not have them; empty: those of the
            network's preset or of the one that fits, if there are as many.

    Raises:
        CheckpointError: The file cannot be read, is of another architecture, or has another number
            of classes.
    """
    file = read_network(path)
    require_finite(file)
    source, remark = _classes_of(file, network.preset, class_names)
    own = network.state_dict()
    names = network.preset.class_names
    rows_of = _ClassRows(source, names)
    kept, rows, new = [], [], []
    for name, tensor in own.items():
        found = file.tensors.get(name)
        if found is None and name.endswith("num_batches_tracked"):
            continue  # counted from 0: nothing depends on it
        if found is None or (tensor.is_floating_point() and not found.is_floating_point()):
            new.append(name)
        elif source != names and rows_of.concern(name):
            if rows_of.fit(name, tensor, found):
                own[name] = rows_of.merged(name, tensor, found)
                rows.append(name)
            else:
                new.append(name)
        elif found.shape == tensor.shape:
            own[name] = found.to(tensor.dtype)
            kept.append(name)
        else:
            new.append(name)
    if any(name.startswith("backbone.") and not _of_deformation(name) for name in new):
        raise CheckpointError(
            f"weights: expected a network with the backbone of {network.preset.name}, got {path}, "
            f"which shares {len(kept)} of {len(own)} tensors and fits "
            f"{names_of_fits(fitting_presets(file.shapes))}"
        )
    network.load_state_dict(own)
    unwrapped = f"weights: {file.path}: {file.remark}" if file.remark else ""
    return Start(
        kept=tuple(kept),
        kept_rows=tuple(rows),
        new=tuple(new),
        classes=tuple(name for name in names if name in source),
        new_classes=tuple(name for name in names if name not in source),
        remarks=tuple(filter(None, (unwrapped, remark))),
    )


def _classes_of(
    file: WeightsFile, wanted: Preset, class_names: Sequence[str]
) -> tuple[tuple[str | None, ...], str]:
    """The names of a file's classes, None for each that nobody names, and what was assumed."""
    described = file.preset
    count = class_count(file.shapes) if described is None else len(described.class_names)
    if class_names:
        if len(class_names) != count:
            raise CheckpointError(
                f"weights_class_names: expected {count or 'no'} names for {file.path}, got "
                f"{len(class_names)}"
            )
        return with_classes(wanted, class_names).class_names, ""
    if described is not None:
        return described.class_names, ""
    if count is None:
        return (), ""
    published = wanted.name.partition(":")[0]  # with another backbone it has another name
    presets = [get_preset(published)] if published in preset_names() else []
    presets += [fit.preset for fit in fitting_presets(file.shapes)]
    for preset in presets:
        if len(preset.class_names) == count:
            names = preset.class_names
            return names, assumed_classes(file, names, "--weights-class-names")
    return (None,) * count, (
        f"weights: {file.path} does not name its {count_of_classes(count)}, whose rows are not "
        "kept; --weights-class-names tells which they are"
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
            torchvision has this backbone, "none" does nothing; otherwise the path of a file with
            the weights of the backbone alone, by torchvision's names or the authors'.

    Returns:
        None if nothing was copied.

    Raises:
        InputError: torchvision has no such backbone, or its weights cannot be downloaded or read or
            do not fit.
    """
    name = imagenet_name(network.preset)
    if choice == "none" or (choice == "auto" and name is None):
        return None
    own = network.state_dict()
    if choice not in ("auto", "imagenet"):
        state = _backbone_in(Path(choice), network.preset, own)
    elif name is None:
        raise InputError(
            "backbone_weights: expected none or a file (torchvision does not have the backbone of "
            f"{network.preset.name}), got {choice!r}"
        )
    else:
        state = _downloaded(name, imagenet_version(network.preset))
    renamed = {_own_name(key, network.preset): value for key, value in state.items()}
    kept = [key for key in own if key in renamed and renamed[key].shape == own[key].shape]
    # A deformable convolution has a bias and offsets besides, and old files count no batches.
    missing = [
        key
        for key in own
        if key.startswith("backbone.")
        and key not in kept
        and not _of_deformation(key)
        and not key.endswith("num_batches_tracked")
    ]
    if missing:
        expected = f"torchvision's {name}" if name else f"the backbone of {network.preset.name}"
        raise InputError(
            f"backbone_weights: expected {expected}, got weights in which "
            f"{len(missing)} tensors are missing or of another shape, {missing[0]} among them"
        )
    network.load_state_dict(own | {key: renamed[key] for key in kept})
    new = tuple(key for key in own if key not in kept and not key.endswith("num_batches_tracked"))
    return Start(kept=tuple(kept), new=new)


def _backbone_in(path: Path, preset: Preset, own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Read the tensors of a backbone, without what stands before their names."""
    file = read_weights(path)
    if is_whole_network(file):
        raise CheckpointError(
            f"backbone_weights: expected a backbone alone, got the whole network in {file.path}; "
            "give it as weights (--weights), of which the backbone is kept as well"
        )
    require_finite(file)
    return without_prefix(file.tensors, lambda key: _own_name(key, preset) in own)[1]


def imagenet_version(preset: Preset) -> str:
    """Return which of torchvision's weights of a preset's backbone a training starts from.

    YOLACT's own ResNets start from the first, as published (dbolya/yolact at 902073d,
    data/config.py, line 257). Their later ones come of a training with label smoothing and mixed
    images.
    """
    return "IMAGENET1K_V1" if isinstance(preset.backbone, ResNetSpec) else "DEFAULT"


def _downloaded(name: str, version: str) -> Mapping[str, Tensor]:
    try:
        weights = torchvision.models.get_model_weights(name)[version]
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
        source, target: The classes of the two networks, None for one without a name.
    """

    def __init__(self, source: Sequence[str | None], target: Sequence[str]) -> None:
        self._counts = len(source), len(target)
        known = [name for name in target if name in source]
        self._there = [source.index(name) for name in known]
        self._here = [target.index(name) for name in known]

    @staticmethod
    def concern(name: str) -> bool:
        """Whether the tensor of that name has rows for each class."""
        return name.startswith((_HEAD, _SEMANTIC, _MASK_IOU))

    def fit(self, name: str, own: Tensor, found: Tensor) -> bool:
        """Whether two tensors with rows for each class differ in nothing else."""
        rows = [count + self._background(name) for count in self._counts]
        if found.ndim != own.ndim or not all(rows) or len(found) % rows[0]:
            return False
        there, here = self._by_class(name, found.contiguous(), 0), self._by_class(name, own, 1)
        return there.shape[0] == here.shape[0] and there.shape[2:] == here.shape[2:]

    def merged(self, name: str, own: Tensor, found: Tensor) -> Tensor:
        """Return our tensor with the rows of the background and of common classes replaced."""
        result = own.clone()
        there = self._by_class(name, found.contiguous(), 0).to(own.dtype)
        here = self._by_class(name, result, 1)
        background = self._background(name)
        here[:, :background] = there[:, :background]
        here[:, [i + background for i in self._here]] = there[
            :, [i + background for i in self._there]
        ]
        return result

    @staticmethod
    def _background(name: str) -> int:
        """How many rows precede those of the classes: the class head alone knows background."""
        return 1 if name.startswith(_HEAD) else 0

    def _by_class(self, name: str, tensor: Tensor, side: int) -> Tensor:
        """(priors or 1, classes, ...) of the source, 0, or the target, 1; prior by prior."""
        classes = self._counts[side] + self._background(name)
        return tensor.view(-1, classes, *tensor.shape[1:])
