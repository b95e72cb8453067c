# SPDX-License-Identifier: Apache-2.0
"""The order in which synthetic cameras play a few rendered frames without end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import TypeVar

Item = TypeVar("Item")


def to_and_fro(items: Sequence[Item]) -> Iterator[Item]:
    """Yield 0 1 2 3 2 1 0 1 and so on, forever: neighbours in time are neighbours in the loop."""
    return cycle([*items, *reversed(items[1:-1])])
