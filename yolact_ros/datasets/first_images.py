# SPDX-License-Identifier: Apache-2.0
"""Takes the first images of a data set, before it is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .mending.fields import Key, key_of


def first_images(content: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Leave out the images after the first ones, and all annotations of these.

    Annotations that are of no image stay, to be found by the check.

    Args:
        content: As `problems.read_content` returns it.
        count: Number of images to keep.
    """
    images = content["images"]
    gone = _keys(images[count:]) - _keys(images[:count])
    annotations = [
        each
        for each in content["annotations"]
        if not isinstance(each, dict) or key_of(each.get("image_id")) not in gone
    ]
    return {**content, "images": images[:count], "annotations": annotations}


def _keys(images: Iterable[Any]) -> set[Key]:
    """All that annotations may call the images by: ids, and names of files."""
    entries = [each for each in images if isinstance(each, dict)]
    keys = (key_of(each.get(name)) for each in entries for name in ("id", "file_name"))
    return {key for key in keys if key is not None}
