# SPDX-License-Identifier: Apache-2.0
"""Which network a checkpoint belongs to, by the names and shapes of its tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import torch

from yolact_ros.errors import first_few
from yolact_ros.network.yolact import build_network
from yolact_ros.presets import Normalization, Preset, get_preset, preset_names, with_classes

Shapes = Mapping[str, tuple[int, ...]]
_LISTED = 5
_MOST_CLASSES = 10**5  # a broken file must not make us invent a billion names


@dataclass(frozen=True)
class Fit:
    """A preset that has the tensors of a checkpoint.

    Attributes:
        preset: The preset with its own classes.
        classes: Classes that the checkpoint has, without background.
    """

    preset: Preset
    classes: int

    @property
    def exact(self) -> bool:
        """Whether the checkpoint has as many classes as the preset."""
        return self.classes == len(self.preset.class_names)


def shapes_of(state: Mapping[str, torch.Tensor]) -> Shapes:
    """Names and shapes of tensors."""
    return MappingProxyType({name: tuple(tensor.shape) for name, tensor in state.items()})


def expected_shapes(preset: Preset) -> Shapes:
    """Names and shapes of a preset's tensors, without allocating them."""
    return _shapes_of_network(_visible(preset))


@lru_cache(maxsize=32)
def _shapes_of_network(preset: Preset) -> Shapes:
    with torch.device("meta"):
        return shapes_of(build_network(preset).state_dict())


def _visible(preset: Preset) -> Preset:
    """The preset without what its tensors do not show: several presets have the same tensors."""
    return dataclasses.replace(
        preset,
        name="",
        class_names=tuple(map(str, range(len(preset.class_names)))),
        input_size=1,
        prior_sizes=((1,) * len(preset.prior_sizes[0]),) * len(preset.prior_sizes),
        aspect_ratios=(1,) * len(preset.aspect_ratios),
        square_priors=True,
        normalization=Normalization(),
        category_ids=(),
        published=None,
    )


def is_dispensable(name: str) -> bool:
    """Whether a network finds the same without that tensor.

    PyTorch before 0.4.1 did not count batches, and the semantic segmentation only trains.
    """
    return name.endswith(".num_batches_tracked") or name.startswith("semantic_seg_conv.")


def compare_shapes(expected: Shapes, found: Shapes) -> str:
    """How the tensors of a checkpoint differ from those of a network; empty if they do not.

    What a network can do without (see `is_dispensable`) may be missing.
    """
    differences = {
        "missing": [n for n in expected if n not in found and not is_dispensable(n)],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": [
            f"{name} (expected {expected[name]}, got {shape})"
            for name, shape in found.items()
            if name in expected and expected[name] != shape
        ],
    }
    return "; ".join(listing(kind, names) for kind, names in differences.items() if names)


def class_count(shapes: Shapes) -> int | None:
    """Number of classes without background of a checkpoint; None if it does not show."""
    semantic = shapes.get("semantic_seg_conv.weight")
    if semantic:
        return semantic[0] if 0 < semantic[0] <= _MOST_CLASSES else None
    boxes = shapes.get("prediction_layers.0.bbox_layer.bias")
    classes = shapes.get("prediction_layers.0.conf_layer.bias")
    if not boxes or not classes or boxes[0] < 4:
        return None
    count, rest = divmod(classes[0] * 4, boxes[0])  # (A * C) / (A * 4) * 4
    return count - 1 if rest == 0 and 1 < count <= _MOST_CLASSES else None


def fitting_presets(shapes: Shapes) -> list[Fit]:
    """The registered presets whose networks have exactly these tensors.

    Those with as many classes come alone, if there are any; otherwise those that fit when they are
    given as many classes as the checkpoint has. YOLACT++ also fits without its mask-IoU net, as a
    preset that has none.
    """
    count = class_count(shapes)
    if count is None:
        return []
    class_names = tuple(map(str, range(count)))
    fits = [
        Fit(fitting, count)
        for fitting in (without_mask_iou(get_preset(n), shapes) for n in preset_names())
        if not compare_shapes(expected_shapes(with_classes(fitting, class_names)), shapes)
    ]
    return [fit for fit in fits if fit.exact] or fits


def without_mask_iou(preset: Preset, found: Iterable[str]) -> Preset:
    """The preset without its mask-IoU net, if these tensors have none; else the preset itself."""
    if preset.mask_iou and not any(name.startswith("maskiou_net.") for name in found):
        return dataclasses.replace(preset, mask_iou=False)
    return preset


def describe_fits(fits: list[Fit]) -> str:
    """Describe what `fitting_presets` found, as a clause that begins with "it"."""
    if not fits:
        return "it fits no preset"
    if fits[0].exact:
        return f"it fits {names_of_fits(fits)}"
    own = sorted({len(fit.preset.class_names) for fit in fits}, reverse=True)
    return (
        f"it fits {names_of_fits(fits)} with {count_of_classes(fits[0].classes)} (instead of "
        f"{' or '.join(map(str, own))}), whose names must be given: class_names, on the command "
        "line --class-names, in the order of their training"
    )


def names_of_fits(fits: list[Fit]) -> str:
    """The names of the presets in a list; "no preset" if it is empty."""
    *others, last = [_named(fit) for fit in fits] or ["no preset"]
    return f"{', '.join(others)} and {last}" if others else last


def count_of_classes(count: int) -> str:
    """The number of classes in words: "1 class", "6 classes"."""
    return "1 class" if count == 1 else f"{count} classes"


def _named(fit: Fit) -> str:
    name = fit.preset.name
    lacks = not fit.preset.mask_iou and get_preset(name).mask_iou
    return f"{name} without its mask-IoU net" if lacks else name


def listing(what: str, names: Sequence[str]) -> str:
    """How many names there are, and the first few."""
    return f"{len(names)} {what}: {first_few(names, _LISTED)}"
