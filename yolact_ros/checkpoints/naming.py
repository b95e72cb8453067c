# SPDX-License-Identifier: Apache-2.0
"""Find a network's tensors in what a file holds, and take off what others put before their names.

Training programs save more than a network (`{"model": ..., "optimizer": ..., "epoch": ...}`), and
wrappers such as DataParallel and torch.compile put `module.` or `_orig_mod.` before every name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping

from torch import Tensor

PARTS = ("backbone", "fpn", "proto_net", "prediction_layers", "semantic_seg_conv", "maskiou_net")
"""What every name of a whole network's tensors begins with."""

_OWN = re.compile(rf"(?:{'|'.join(PARTS)})\.")
# What torch's wrappers add within a name.
_WRAPPERS = re.compile(
    r"(?<![^.])(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
# What the authors' own loader drops: aliases of the backbone's stages, and pyramid levels beyond
# P7, both in files of version 1.0.
_OBSOLETE = re.compile(r"backbone\.layer(?!s)|fpn\.downsample_layers\.(?![01]\.)")
# Tensors near the input of classification networks, as torchvision and the authors name them.
_CLASSIFIER = re.compile(
    r"(?:.*\.)?(?:layer1\.0|layers\.0\.0|features\.0|_preconv\.0|stem|blocks\.0|conv_proj)\."
)
_DEEPEST = 2  # dictionaries within dictionaries that are looked at


def is_own(name: str) -> bool:
    """Whether a whole network has tensors that begin like this name."""
    return _OWN.match(name) is not None


def is_obsolete(name: str) -> bool:
    """Whether the authors' own loader drops a tensor of that name."""
    return _OBSOLETE.match(name) is not None


def is_backbone_alone(names: Collection[str]) -> bool:
    """Whether these are the tensors of a backbone or classification network, and nothing else."""
    if any(map(is_own, names)):
        return all(name.startswith("backbone.") for name in names)
    return any(map(_CLASSIFIER.match, names))


def find_tensors(content: Mapping[object, object]) -> list[tuple[str, dict[str, Tensor]]]:
    """Find the dictionaries of tensors that are most like a network's.

    Args:
        content: What a file holds.

    Returns:
        For each where it is, such as "model" or "model.state_dict" (empty: it is the content
        itself), and its tensors. There are several if a file has, say, the weights and their moving
        average.
    """
    found = list(_dictionaries(content, "", 0))
    likeness = [(_likeness(tensors), len(tensors)) for _, tensors in found]
    return [one for one, rank in zip(found, likeness, strict=True) if rank == max(likeness)]


def _dictionaries(
    content: Mapping[object, object], place: str, depth: int
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    tensors = {
        name: value.detach()
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if tensors:
        yield place, tensors
    if depth < _DEEPEST:
        for name, value in content.items():
            if isinstance(value, Mapping):
                yield from _dictionaries(value, f"{place}.{name}".lstrip("."), depth + 1)


def _likeness(tensors: Mapping[str, Tensor]) -> int:
    return sum(_prefix(name, is_own) is not None for name in tensors)


def without_prefix(
    tensors: Mapping[str, Tensor], known: Callable[[str], bool] = is_own
) -> tuple[str, dict[str, Tensor], list[str]]:
    """Take off what stands before the names, and what wrappers have added within them.

    Args:
        tensors: Tensors by name.
        known: Whether a name without prefix is one of the network's.

    Returns:
        The prefix of most names that are known without it; the tensors by their own names; and the
        names of those outside, which have another prefix.
    """
    prefixes = {name: _prefix(name, known) for name in tensors}
    counted = Counter(prefix for prefix in prefixes.values() if prefix is not None)
    prefix = counted.most_common(1)[0][0] if counted else ""
    inside, outside = {}, []
    for name, tensor in tensors.items():
        if prefixes[name] == prefix or (prefixes[name] is None and name.startswith(prefix)):
            inside[_WRAPPERS.sub("", name[len(prefix) :])] = tensor
        else:
            outside.append(name)
    return prefix, inside, outside


def _prefix(name: str, known: Callable[[str], bool]) -> str | None:
    """The shortest beginning of a name, up to a dot, without which it is known; None: never."""
    begin = 0
    while begin >= 0:
        if known(_WRAPPERS.sub("", name[begin:])) and not _WRAPPERS.match(name, begin):
            return name[:begin]
        begin = name.find(".", begin) + 1 or -1
    return None
