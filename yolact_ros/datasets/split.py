# SPDX-License-Identifier: Apache-2.0
"""Splits a data set into parts with similar class distributions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from yolact_ros.errors import InputError


def split_content(
    content: Mapping[str, Any], shares: Mapping[str, float], *, seed: int
) -> dict[str, dict[str, Any]]:
    """Split a file's content by images; see `split_images`.

    Args:
        content: Content without errors.
        shares: Share of each part by its name.
        seed: Seed of the random order of images, 0 or more.

    Returns:
        The content of each part by its name: all fields unchanged, entries in the original order,
        all categories in every part.

    Raises:
        InputError: As for `split_images`.
    """
    classes = defaultdict(set)
    for annotation in content["annotations"]:
        classes[annotation["image_id"]].add(annotation["category_id"])
    image_ids = [image["id"] for image in content["images"]]
    chosen = split_images(
        [classes[image_id] for image_id in image_ids], list(shares.values()), seed=seed
    )
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
    images as there are parts, if there is as much.

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
    if len(shares) < 2:
        raise InputError(f"parts: expected two or more, got {len(shares)}")
    if not all(isfinite(share) and share > 0 for share in shares):
        raise InputError(f"parts: expected shares above 0, got {', '.join(map(str, shares))}")
    if len(classes) < len(shares):
        raise InputError(f"parts: expected {len(shares)} or more images, got {len(classes)}")
    if seed < 0:
        raise InputError(f"seed: expected an integer >= 0, got {seed}")
    portions = np.array(shares, float) / np.sum(shares)
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
    return parts


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
