# SPDX-License-Identifier: Apache-2.0
"""Which network a checkpoint belongs to, by the names and shapes of its tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import torch

from yolact_ros.network.yolact import build_network
from yolact_ros.presets import Preset, get_preset, preset_names, with_classes

Shapes = Mapping[str, tuple[int, ...]]
_LISTED = 5
_MOST_CLASSES = 10**5  # a broken file must not make us invent a billion names
# What the tensors do not show.
_INVISIBLE = {
    "name": "",
    "input_size": 1,
    "category_ids": (),
    "published": None,
    "normalization": None,
    "square_priors": True,
}


@dataclass(frozen=True)
class Mismatch:
    """How a checkpoint differs from what a network expects; false if it does not differ.

    Attributes:
        missing: Names that the network has and the checkpoint has not.
        unexpected: Names that the checkpoint has and the network has not.
        reshaped: Names that both have, with the two shapes.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.reshaped)

    def __str__(self) -> str:
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.reshaped,
        }
        return "; ".join(listing(kind, names) for kind, names in kinds.items() if names)


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


@lru_cache(maxsize=32)
def expected_shapes(preset: Preset) -> Shapes:
    """Names and shapes of a preset's tensors, without allocating them."""
    with torch.device("meta"):
        network = build_network(preset)
    return MappingProxyType({k: tuple(tensor.shape) for k, tensor in network.state_dict().items()})


def compare_shapes(expected: Shapes, found: Shapes) -> Mismatch:
    """Compare the tensors of a checkpoint with those that a network expects."""
    return Mismatch(
        missing=tuple(name for name in expected if name not in found),
        unexpected=tuple(name for name in found if name not in expected),
        reshaped=tuple(
            f"{name} (expected {expected[name]}, got {shape})"
            for name, shape in found.items()
            if name in expected and expected[name] != shape
        ),
    )


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
    given as many classes as the checkpoint has.
    """
    count = class_count(shapes)
    if count is None:
        return []
    class_names = tuple(map(str, range(count)))
    verdicts: dict[str, bool] = {}  # several presets have the same tensors
    fits = []
    for preset in map(get_preset, preset_names()):
        resized = with_classes(preset, class_names)
        key = _architecture(resized)
        if key not in verdicts:
            verdicts[key] = not compare_shapes(expected_shapes(resized), shapes)
        if verdicts[key]:
            fits.append(Fit(preset, count))
    return [fit for fit in fits if fit.exact] or fits


def describe_fits(fits: list[Fit]) -> str:
    """Describe what `fitting_presets` found, as a clause that begins with "it"."""
    if not fits:
        return "it fits no preset"
    names = " and ".join(
        [*filter(None, [", ".join(fit.preset.name for fit in fits[:-1])]), fits[-1].preset.name]
    )
    if fits[0].exact:
        return f"it fits {names}"
    own = [str(len(fit.preset.class_names)) for fit in fits]
    return (
        f"it fits {names} with {fits[0].classes} classes (instead of {' or '.join(own)}), whose "
        "names must be given"
    )


def listing(what: str, names: tuple[str, ...]) -> str:
    """The first few names and how many there are."""
    shown = ", ".join(names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} {what}: {shown}{more}"


def _architecture(preset: Preset) -> str:
    fields = {f.name: getattr(preset, f.name) for f in dataclasses.fields(preset)}
    fields.update(_INVISIBLE)
    priors_per_cell = len(preset.prior_sizes[0]) * len(preset.aspect_ratios)
    fields.update(prior_sizes=len(preset.prior_sizes), aspect_ratios=priors_per_cell)
    return repr(sorted(fields.items()))
