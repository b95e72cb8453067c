# SPDX-License-Identifier: Apache-2.0
"""Figures as tables in Markdown, which a terminal shows as well."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from .bounds import Bound
from .figures import Consistency, Figures, Group, Spread, with_masks
from .sets import NETWORK, TRUE


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table: the first column to the left, the others to the right.

    >>> print(table(["kind", "mm"], [["mug", "1.5"], ["ball", "12.0"]]))
    | kind |   mm |
    |---|---:|
    | mug  |  1.5 |
    | ball | 12.0 |
    """
    cells = [list(titles), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        first, *others = zip(row, widths, strict=True)
        shown = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        lines.append(f"| {' | '.join(shown)} |")
    lines.insert(1, f"|---|{'---:|' * (len(titles) - 1)}")
    return "\n".join(lines)


def group_table(title: str, groups: Sequence[Group]) -> str:
    """One row for each group and kind of mask."""
    titles = [title, "masks", "things", "recall", "centre, mm", "naive, mm", "size, %", "yaw, °"]
    titles += ["NEES / 3", "inside, %"]
    rows = []
    for group in groups:
        for masks in (TRUE, NETWORK):
            figures = Figures.of(with_masks(group.measured, masks))
            if figures.things:
                rows.append([group.name, masks, *_cells(figures)])
    return table(titles, rows)


def bounds_table(bounds: Sequence[Bound]) -> str:
    """What is asked and what is reached."""
    return table(
        ["figure", "asked", "reached", "things", "held"],
        (
            [one.what, one.asked, one.reached, str(one.things), "yes" if one.held else "NO"]
            for one in bounds
        ),
    )


def _cells(figures: Figures) -> list[str]:
    return [
        str(figures.things),
        _number(100 * figures.recall, 0),
        _both(figures.centre),
        _both(figures.naive),
        _both(figures.size, 100),
        _both(figures.yaw),
        *_consistency(figures.covariance),
    ]


def _both(spread: Spread, factor: float = 1) -> str:
    """Median and 95th percentile."""
    return f"{_number(factor * spread.median, 1)} / {_number(factor * spread.p95, 1)}"


def _consistency(found: Consistency) -> list[str]:
    return [_number(found.nees, 2), _number(100 * found.inside, 0)]


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
