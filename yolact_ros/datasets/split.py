# SPDX-License-Identifier: Apache-2.0
"""Splits a data set into parts with similar class distributions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from yolact_ros.errors import InputError

from .division import Division


def split_content(
    content: Mapping[str, Any],
    shares: Mapping[str, float],
    *,
    seed: int,
    groups: Sequence[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Split a file's content by images or by groups of them; see `split_images`, `split_groups`.

    Args:
        content: Content without errors.
        shares: Share of each part by its name.
        seed: Seed of the random order of images, 0 or more.
        groups: Name of each image's group, which stays together; None: each image for itself.

    Returns:
        The content of each part by its name: all fields unchanged, entries in the original order,
        all categories in every part.

    Raises:
        InputError: As for `split_images` and `split_groups`.
    """
    classes = defaultdict(set)
    for annotation in content["annotations"]:
        classes[annotation["image_id"]].add(annotation["category_id"])
    image_ids = [image["id"] for image in content["images"]]
    shown, portions = [classes[image_id] for image_id in image_ids], list(shares.values())
    if groups is None:
        chosen = split_images(shown, portions, seed=seed)
    else:
        chosen = split_groups(shown, groups, portions, seed=seed)
    part_of = dict(zip(image_ids, chosen, strict=True))
    return {
        name: {
            **content,
            "images": [image for image in content["images"] if part_of[image["id"]] == part],
            "annotations": [
                annotation
                for annotation in content["annotations"]
                if part_of[annotation["image_id"]] == part
            ],
        }
        for part, name in enumerate(shares)
    }


def split_images(
    classes: Sequence[Collection[int]], shares: Sequence[float], *, seed: int
) -> list[int]:
    """Split images into parts of given sizes with similar class distributions.

    By iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the Stratification of
    Multi-Label Data", 2011, algorithm 1): the class with the fewest images left comes first, and
    each of its images goes where most of that class are still wanted. Beyond that, every part takes
    no more images than its share, and keeps room for one image of each class that has as many
    images as there are parts. Where there is less room than classes, images are exchanged until
    no exchange of two brings more classes into more parts.

    Args:
        classes: Classes in each image.
        shares: Share of each part, relative to their sum.
        seed: Seed of the random order of images, 0 or more.

    Returns:
        The index of each image's part.

    Raises:
        InputError: There are fewer than two parts, fewer images than parts, or a share that is not
            positive.
    """
    portions = _portions(shares, seed)
    if len(classes) < len(shares):
        raise InputError(f"parts: expected {len(shares)} or more images, got {len(classes)}")
    room = _sizes(len(classes), portions)
    left: dict[int, set[int]] = defaultdict(set)
    for index, present in enumerate(classes):
        for each in present:
            left[each].add(index)
    common = {each for each, images in left.items() if len(images) >= len(shares)}
    wanted = {
        each: np.maximum(portions * len(images), float(each in common))
        for each, images in left.items()
    }
    missing = [set(common) for _ in shares]  # classes of which a part has no image yet
    order = np.random.default_rng(seed).permutation(len(classes)).tolist()
    rank = {index: position for position, index in enumerate(order)}
    parts = [-1] * len(classes)

    def assign(index: int, wish: np.ndarray) -> None:
        present = set(classes[index])
        free = np.flatnonzero(room > 0).tolist()
        # The last places are for what a part has not, where they are enough for all of that.
        useful = [p for p in free if room[p] != len(missing[p]) or present & missing[p]]
        # by what is wanted, then by the room that is left, then the first
        part = max(useful or free, key=lambda p: (wish[p], room[p], -p))
        parts[index] = part
        room[part] -= 1
        missing[part] -= present
        for each in classes[index]:
            wanted[each][part] -= 1
            left[each].discard(index)

    while any(left.values()):
        rarest = min((each for each in left if left[each]), key=lambda c: (len(left[c]), c))
        for index in sorted(left[rarest], key=rank.__getitem__):
            assign(index, wanted[rarest])
    for index in order:
        if parts[index] < 0:
            assign(index, room)
    if any(missing):
        division = Division([[present] for present in classes], portions, parts)
        division.improve(keep_sizes=True)
        parts = division.parts.tolist()
    return parts


def split_groups(
    classes: Sequence[Collection[int]],
    groups: Sequence[str],
    shares: Sequence[float],
    *,
    seed: int,
) -> list[int]:
    """Split images into parts, each group whole.

    As near to the shares, with class distributions as similar and with as many classes in every
    part as moves and exchanges of groups lead to.

    Args:
        classes: Classes in each image.
        groups: Name of each image's group.
        shares: Share of each part, relative to their sum.
        seed: Seed of the random order of groups, 0 or more.

    Returns:
        The index of each image's part.

    Raises:
        InputError: As for `split_images`, or there are fewer groups than parts.
    """
    members: dict[str, list[int]] = {}
    for index, name in enumerate(groups):
        members.setdefault(name, []).append(index)
    if len(members) == len(groups):
        return split_images(classes, shares, seed=seed)
    portions = _portions(shares, seed)
    if len(members) < len(shares):
        raise InputError(
            f"parts: expected {len(shares)} or more groups of images, got {len(members)}: "
            f"{', '.join(members)}"
        )
    values = list(members.values())
    units = [values[index] for index in np.random.default_rng(seed).permutation(len(values))]
    units.sort(key=len, reverse=True)
    room = portions * len(groups)
    start = []
    for unit in units:
        start.append(int(room.argmax()))
        room[start[-1]] -= len(unit)
    division = Division([[classes[i] for i in unit] for unit in units], portions, start)
    division.improve(keep_sizes=False)
    parts = [0] * len(groups)
    for unit, part in zip(units, division.parts.tolist(), strict=True):
        for index in unit:
            parts[index] = part
    return parts


def missing_classes(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Name the classes that another part has and a part does not, by the part's name."""
    found = {
        name: {annotation["category_id"] for annotation in part["annotations"]}
        for name, part in parts.items()
    }
    everywhere = set[int]().union(*found.values())
    return {
        name: [
            each["name"] for each in part["categories"] if each["id"] in everywhere - found[name]
        ]
        for name, part in parts.items()
        if everywhere - found[name]
    }


def _portions(shares: Sequence[float], seed: int) -> np.ndarray:
    """Check the wishes, and return the shares as parts of 1."""
    if len(shares) < 2:
        raise InputError(f"parts: expected two or more, got {len(shares)}")
    if not all(isfinite(share) and share > 0 for share in shares):
        raise InputError(f"parts: expected shares above 0, got {', '.join(map(str, shares))}")
    if seed < 0:
        raise InputError(f"seed: expected an integer >= 0, got {seed}")
    portions: np.ndarray = np.array(shares, float) / np.sum(shares)
    return portions


def _sizes(count: int, portions: np.ndarray) -> np.ndarray:
    """Round the portions to whole numbers >= 1 that add up to `count`."""
    exact = portions * count
    sizes = np.maximum(np.floor(exact), 1)
    while sizes.sum() != count:
        step = np.sign(count - sizes.sum())
        gap = step * (exact - sizes)
        if step < 0:
            gap[sizes <= 1] = -np.inf
        sizes[int(np.argmax(gap))] += step
    return sizes
