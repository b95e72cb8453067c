# SPDX-License-Identifier: Apache-2.0
"""How much memory the masks of a batch are given, which a graph fixes."""

from __future__ import annotations

from collections import deque

_REMEMBERED = 64
"""Batches by which the need is judged."""
_TOO_MANY = 3
"""Of these, without enough room: until then each is made again, which costs less than a graph."""
_SPARE = 4
"""Times the need: with more room than that there is too much."""


class MaskRoom:
    """Follows what the last batches needed.

    Args:
        least: Bytes to begin with.

    Attributes:
        bytes: The room now.
    """

    def __init__(self, least: int) -> None:
        self.bytes = least
        self._least = least
        self._needs: deque[int] = deque(maxlen=_REMEMBERED)

    @property
    def is_least(self) -> bool:
        """Whether it is what it began with."""
        return self.bytes == self._least

    def follow(self, need: int) -> bool:
        """Take in what a batch needed, in bytes; whether the room has changed by it."""
        self._needs.append(need)
        before, most = self.bytes, max(self._needs)
        if sum(one > self.bytes for one in self._needs) >= _TOO_MANY:
            self.bytes = 2 * most
        elif len(self._needs) == _REMEMBERED and _SPARE * most < self.bytes:
            self.bytes = max(self._least, 2 * most)
        return self.bytes != before
