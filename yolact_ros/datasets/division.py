# SPDX-License-Identifier: Apache-2.0
"""Divides units of images into parts: the sizes, and the classes in each, as near as they go."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_PASSES = 10
_LACK = 10.0  # cost of a class that a part lacks: more than all differences of two parts
_MOST_TO_SWAP = 300
"""Units from which on only single moves are tried: pairs would take minutes."""


class Division:
    """Units of images, each in one part.

    A part costs the square of what it has too much or too little, as a share of all: of images, and
    on average of the images of each class. It costs more than all of that if it has no image of a
    class that as many units as there are parts have, and more than that if it has none at all.

    Attributes:
        parts: Part of each unit.
    """

    def __init__(
        self, units: Sequence[Sequence[Collection[int]]], portions: Floats, parts: Sequence[int]
    ) -> None:
        """Take units as the classes in each of their images, and where they are."""
        classes = sorted({each for unit in units for image in unit for each in image})
        column = {each: index for index, each in enumerate(classes, start=1)}
        self._amounts = np.zeros((len(units), 1 + len(classes)))  # images, and those of each class
        for index, unit in enumerate(units):
            self._amounts[index, 0] = len(unit)
            for image in unit:
                for each in image:
                    self._amounts[index, column[each]] += 1
        self._total = self._amounts.sum(axis=0)
        self._wanted = portions[:, None] * self._total
        self._common = (self._amounts[:, 1:] > 0).sum(axis=0) >= len(portions)
        self._weights = np.array([1.0, *[1 / max(len(classes), 1)] * len(classes)])
        self.parts = np.array(parts)
        self._held = np.stack(
            [self._amounts[self.parts == part].sum(axis=0) for part in range(len(portions))]
        )

    def cost(self, part: int, held: Floats) -> Floats:
        """Return the cost of a part with these amounts (..., 1 + classes)."""
        gap = (held - self._wanted[part]) / self._total
        lacking = ((held[..., 1:] == 0) & self._common).sum(axis=-1)
        empty = held[..., 0] == 0
        missing = lacking + empty * (len(self._weights) + 1)
        cost: Floats = (gap**2 * self._weights).sum(axis=-1) + _LACK * missing
        return cost

    @property
    def lacks_classes(self) -> bool:
        """Whether a part has no image of a class that every part could have."""
        return bool(((self._held[:, 1:] == 0) & self._common).any())

    def improve(self, *, keep_sizes: bool) -> None:
        """Move units to other parts, and exchange two, as long as the cost falls.

        Args:
            keep_sizes: Only exchange, which keeps the number of units in each part.
        """
        swap = keep_sizes or len(self.parts) <= _MOST_TO_SWAP
        for _ in range(_PASSES):
            changed = False
            for unit in range(len(self.parts)):
                if keep_sizes and not self.lacks_classes:
                    return
                moved = not keep_sizes and self._move(unit)
                changed |= moved or (swap and self._swap(unit, lacking_only=keep_sizes))
            if not changed:
                return

    def _move(self, unit: int) -> bool:
        """Move a unit to where the cost falls most, if it falls anywhere."""
        source, amount = self.parts[unit], self._amounts[unit]
        left = self.cost(source, self._held[source] - amount) - self.cost(
            source, self._held[source]
        )
        changes = [
            float(left + self.cost(part, held + amount) - self.cost(part, held))
            for part, held in enumerate(self._held)
        ]
        changes[source] = 0.0
        best = int(np.argmin(changes))
        if changes[best] >= -1e-12:
            return False
        self._put(unit, best)
        return True

    def _swap(self, unit: int, *, lacking_only: bool) -> bool:
        """Exchange a unit with that of another part with which the cost falls most, if it falls."""
        source, amount = self.parts[unit], self._amounts[unit]
        lacking = np.flatnonzero((self._held[source, 1:] == 0) & self._common) + 1
        if lacking_only and not len(lacking):
            return False
        others = np.flatnonzero(self.parts != source)
        if lacking_only:
            others = others[(self._amounts[np.ix_(others, lacking)] > 0).any(axis=1)]
        best, least = -1, -1e-12
        for part in np.unique(self.parts[others]):
            candidates = others[self.parts[others] == part]
            given = self._amounts[candidates]
            change = (
                self.cost(source, self._held[source] - amount + given)
                - self.cost(source, self._held[source])
                + self.cost(part, self._held[part] + amount - given)
                - self.cost(part, self._held[part])
            )
            if change.min() < least:
                best, least = int(candidates[change.argmin()]), float(change.min())
        if best < 0:
            return False
        part = self.parts[best]
        self._put(best, source)
        self._put(unit, part)
        return True

    def _put(self, unit: int, part: int) -> None:
        self._held[self.parts[unit]] -= self._amounts[unit]
        self._held[part] += self._amounts[unit]
        self.parts[unit] = part
