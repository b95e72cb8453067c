# SPDX-License-Identifier: Apache-2.0
"""Which figures must hold, and which do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from yolact_ros.space import SAMPLES

from .figures import MIN_VISIBLE, Consistency, Figures, of_table, sampled, with_masks
from .measure import Measurement
from .sets import BEHIND, DILATED, EVERY_PIXEL, FLOATING, HOLLOW, NETWORK, TRUE

MIN_THINGS = 8
"""Of fewer things a kind's 95th percentile says nothing."""


@dataclass(frozen=True)
class Bound:
    """One figure that is asked for.

    Attributes:
        what: What is measured.
        asked: Its limits, in words.
        reached: What came out.
        things: Number of things that it is of.
        held: Whether it is within the limits.
    """

    what: str
    asked: str
    reached: str
    things: int
    held: bool


def bounds(measured: Sequence[Measurement]) -> list[Bound]:
    """Hold measurements against what is asked; what was not measured is left out."""
    return [bound for bound in _all(measured) if bound.things]


def _all(measured: Sequence[Measurement]) -> Iterator[Bound]:
    table = of_table(measured)
    figures = {masks: Figures.of(with_masks(table, masks)) for masks in (TRUE, NETWORK)}
    for masks, median, p95 in ((TRUE, 2.5, 6), (NETWORK, 3, 12)):
        yield _centre(f"centre, {masks} masks", figures[masks], p95, median=median)
    for masks in (TRUE, NETWORK):
        missing = Figures.of(with_masks(of_table(measured, "missing"), masks))
        yield _centre(f"centre, {masks} masks, 30 % of the depth missing", missing, 18)
    for masks in (TRUE, NETWORK):
        yield _holes(measured, masks)
    yield _sampling(measured)
    for masks, most in ((TRUE, 0.09), (NETWORK, 0.16)):
        size = figures[masks].size
        yield Bound(
            f"worst axis over the longest edge, {masks} masks",
            f"p95 ≤ {most:.0%}",
            f"{size.p95:.1%}",
            size.count,
            size.p95 <= most,
        )
    for masks in (TRUE, NETWORK):
        axis = figures[masks].axis
        text = f"an axis over itself, {masks} masks"
        yield Bound(text, "median ≤ 6%", f"{axis.median:.1%}", axis.count, axis.median <= 0.06)
    for masks in (TRUE, NETWORK):
        yaw = figures[masks].yaw
        text = f"yaw of elongated things, {masks} masks"
        yield Bound(text, "p95 ≤ 8°", f"{yaw.p95:.1f}°", yaw.count, yaw.p95 <= 8)
    yield from _floating(measured)
    for kind in sorted({one.kind for one in table}):
        of_kind = Figures.of([one for one in with_masks(table, NETWORK) if one.kind == kind])
        if of_kind.centre.count >= MIN_THINGS:
            yield _centre(f"centre of a {kind} on the table, network masks", of_kind, 15)
    for masks in (TRUE, NETWORK):
        yield _consistent(f"covariance, {masks} masks", figures[masks].covariance)
    for masks in (TRUE, NETWORK):
        yield _consistent(f"covariance of upright boxes, {masks} masks", figures[masks].upright)


def _floating(measured: Sequence[Measurement]) -> Iterator[Bound]:
    seen = [one for one in measured if one.visible >= MIN_VISIBLE]
    floating = [one for one in seen if one.scenes == FLOATING]
    for masks in dict.fromkeys(one.masks for one in floating):
        for kind in HOLLOW:
            some = [one for one in with_masks(floating, masks) if one.kind == kind]
            text = f"centre of a floating {kind}, mask {masks}"
            yield _centre(text, Figures.of(some), 5, largest=30)
    behind = [one for one in seen if one.scenes == BEHIND]
    for masks, how in ((TRUE, "leaves out"), (DILATED, "touches")):
        some = with_masks(behind, masks)
        text = f"centre behind a bottle that the mask {how}"
        yield _centre(text, Figures.of(some), 6)


def _centre(
    what: str, figures: Figures, p95: float, *, median: float = math.inf, largest: float = math.inf
) -> Bound:
    """Limits in millimetres."""
    centre = figures.centre
    asked, reached = [f"p95 ≤ {p95:g}"], [f"{centre.p95:.1f}"]
    if median < math.inf:
        asked.insert(0, f"median ≤ {median:g}")
        reached.insert(0, f"{centre.median:.1f}")
    if largest < math.inf:
        asked.append(f"none > {largest:g}")
        reached.append(f"{centre.largest:.0f}")
    held = centre.median <= median and centre.p95 <= p95 and centre.largest <= largest
    return Bound(what, f"{', '.join(asked)} mm", f"{' / '.join(reached)} mm", centre.count, held)


def _holes(measured: Sequence[Measurement], masks: str) -> Bound:
    """Where much of a thing is missing, its coverage and covariance must tell."""
    some = [
        one
        for one in with_masks(of_table(measured, "holes"), masks)
        if one.errors is not None and one.errors.coverage < 0.6
    ]
    inside = Figures.of(some).covariance
    return Bound(
        f"coverage below 60 %, {masks} masks",
        "inside ≥ 90%",
        f"{inside.inside:.1%}",
        inside.count,
        inside.inside >= 0.9,
    )


def _sampling(measured: Sequence[Measurement]) -> Bound:
    """What it costs to look at some pixels of a mask only."""
    some, every = (Figures.of(sampled(measured, count)).centre for count in (SAMPLES, EVERY_PIXEL))
    ratio = some.median / every.median if every.count else math.nan
    return Bound(
        f"centre by {SAMPLES} pixels of a true mask over that by all",
        "median ≤ 1.1",
        f"{ratio:.2f}",
        some.count,
        ratio <= 1.1,
    )


def _consistent(what: str, found: Consistency) -> Bound:
    held = 0.5 <= found.nees <= 2 and 0.9 <= found.inside <= 0.99
    return Bound(
        what,
        "NEES / 3 from 0.5 to 2, inside 90% to 99%",
        f"{found.nees:.2f}, {found.inside:.1%}",
        found.count,
        held,
    )
