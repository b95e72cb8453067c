# SPDX-License-Identifier: Apache-2.0
"""COCO's run lengths: down the columns, background first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from yolact_ros.errors import InputError

_FIRST, _LAST = ord("0"), ord("0") + 63


def counts_of(compressed: str) -> npt.NDArray[np.int64]:
    """The run lengths in a compressed string.

    A run is written in groups of five bits, the least first, with a sixth bit on all groups but the
    last, as two's complement; from the fourth run on it is the difference from the run two before.
    COCO's tools read strings without any check, beyond their end too.

    Args:
        compressed: The field `counts` of an RLE.

    Returns:
        (N,) run lengths in pixels, background and object in turn. They may be negative where the
        string is broken.

    Raises:
        ValueError: It is not such a string.
    """
    try:
        groups = np.frombuffer(compressed.encode("ascii"), np.uint8).astype(np.int64)
    except UnicodeEncodeError:
        raise InputError("expected ASCII characters") from None
    if not len(groups):
        return groups
    if groups.min() < _FIRST or groups.max() > _LAST:
        raise InputError("expected characters from '0' to 'o'")
    groups -= _FIRST
    ends = np.flatnonzero(groups < 32)
    if not len(ends) or ends[-1] != len(groups) - 1:
        raise InputError("expected a string that is not cut off")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:  # 35 bits: more than any image has pixels
        raise InputError("expected runs of fewer than 2^34 pixels")
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    counts = np.add.reduceat((groups & 31) << (5 * place), starts)
    counts -= np.where(groups[ends] & 16, np.int64(1) << (5 * lengths), 0)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts


def encode_mask(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """One mask as compressed run lengths, which JSON can hold.

    Args:
        mask: (H, W) bool.

    Returns:
        ``{"size": [H, W], "counts": str}``.

    Raises:
        ValueError: The mask is not two-dimensional.
    """
    if mask.ndim != 2:
        raise InputError(f"mask: expected shape (H, W), got {tuple(mask.shape)}")
    runs = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in runs["size"]], "counts": runs["counts"].decode("ascii")}
