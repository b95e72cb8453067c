# SPDX-License-Identifier: Apache-2.0
"""Comparisons of results, exact or within what rounding explains."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch

from yolact_ros.structures import Instances


def assert_same(one: Any, other: Any, name: str = "") -> None:
    """Assert that two values are of the same type and equal to the last bit.

    Looks into dataclasses, mappings (of any type), lists and tuples, and at type and shape of
    arrays and tensors.
    """
    if isinstance(one, Mapping):
        assert one.keys() == other.keys(), name
        for key in one:
            assert_same(one[key], other[key], f"{name}[{key!r}]")
        return
    assert type(one) is type(other), name
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, name
        assert torch.equal(one, other), name
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, name
        assert one.shape == other.shape, name
        np.testing.assert_array_equal(one, other, err_msg=name)
    elif is_dataclass(one):
        for field in fields(one):
            inner = f"{name}.{field.name}"
            assert_same(getattr(one, field.name), getattr(other, field.name), inner)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), name
        for index, (inner, counterpart) in enumerate(zip(one, other, strict=True)):
            assert_same(inner, counterpart, f"{name}[{index}]")
    else:
        assert one == other, name


def assert_same_bits(found: Any, expected: Any) -> None:
    """Compare packed masks of two implementations, whose sigmoids round differently.

    The rectangles are equal, and at most one byte in a thousand of the bits differs.
    """
    assert torch.equal(found.rectangles, expected.rectangles)
    width, height = expected.rectangles[:, 2], expected.rectangles[:, 3]
    length = int(((width + 7) // 8 * height).sum())
    assert len(expected.bits) >= length
    different = (found.bits[:length] != expected.bits[:length]).sum().item()
    assert different <= length // 1000


def assert_close_instances(found: Instances, expected: Instances, *, least: int = 1) -> None:
    """Compare what two engines found in an image, whose arithmetic rounds differently."""
    assert len(found) == len(expected) >= least
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    assert found.class_names == expected.class_names
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=0, atol=0.05)
    assert (found.mask_scores is None) == (expected.mask_scores is None)
    if found.mask_scores is not None:
        np.testing.assert_allclose(found.mask_scores, expected.mask_scores, rtol=0, atol=1e-3)
    for one, other in zip(found.masks, expected.masks, strict=True):
        assert (one & other).sum() >= 0.99 * (one | other).sum()
