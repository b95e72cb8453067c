# SPDX-License-Identifier: Apache-2.0
"""Figures of measurements that are made up, and what they say of what must hold."""

import math
from dataclasses import replace

import numpy as np
import pytest

from yolact_ros.evaluation.space.bounds import bounds
from yolact_ros.evaluation.space.figures import Consistency, Figures, Spread, grouped
from yolact_ros.evaluation.space.measure import BoxError, Errors, Measurement, Yaw
from yolact_ros.evaluation.space.report import describe_space, summarize_space
from yolact_ros.evaluation.space.sets import BEHIND, FAR, FLOATING, NEAR, NETWORK, SAMPLED, TRUE


def _box(centre=0.001, sizes=(0.001, 0.002, 0.003), square=3.0):
    return BoxError(centre, np.array(sizes), np.array([0.1, 0.05, 0.2]), square, 0.002)


def _one(masks=TRUE, yaw=(2.0, True, 0.02), upright=3.0, **changes):
    box = {name: changes.pop(name) for name in ("centre", "sizes", "square") if name in changes}
    coverage = changes.pop("coverage", 1.0)
    errors = Errors(
        coverage=coverage,
        aligned=_box(**box),
        upright=None if upright is None else _box(square=upright),
        yaw=Yaw(*yaw, variance=0.01),
        naive=0.012,
    )
    standard = Measurement(NEAR, 1, "mug", 0.7, 1.0, masks, "real", 900, 1.0, errors)
    return replace(standard, **changes)


def test_percentiles_lie_between_values():
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(3, 2.0, pytest.approx(2.9), 3.0)
    assert math.isnan(Spread.of([]).p95) and Spread.of([]).count == 0


def test_a_covariance_is_true_if_squares_are_3_on_average():
    # 7.815: 95 % of a chi-square distribution of 3 degrees of freedom
    assert Consistency.of([3.0, 3.0, 7.8, 7.9]) == Consistency(4, pytest.approx(21.7 / 12), 0.75)
    assert math.isnan(Consistency.of([]).nees)


def test_figures_are_in_the_units_that_people_use():
    missed = _one(errors=None)
    figures = Figures.of([_one(), _one(centre=0.003), missed, missed])
    assert (figures.things, figures.recall) == (4, 0.5)
    assert figures.centre.median == pytest.approx(2) and figures.naive.median == pytest.approx(12)
    assert figures.size.median == pytest.approx(0.003 / 0.2)
    assert figures.axis.count == 6  # 1 %, 4 % and 1.5 %
    assert figures.axis.median == pytest.approx(0.015)
    assert figures.yaw.median == pytest.approx(math.degrees(0.02))
    assert figures.covariance.nees == 1 and figures.deviation.median == pytest.approx(2)


def test_only_long_things_have_a_yaw_and_only_known_ones_an_error():
    round_thing, unknown = (1.4, True, 1.5), (3.0, False, 1.5)
    figures = Figures.of([_one(), _one(yaw=round_thing), _one(yaw=unknown, upright=None)])
    assert figures.yaw == Spread.of([math.degrees(0.02)])
    assert figures.yaw_unknown == 0.5
    assert figures.upright.count == 2


def test_groups_hold_what_belongs_to_them():
    measured = [
        _one(distance=0.5),
        _one(distance=0.6),
        _one(scenes=FAR, distance=1.7, kind="box"),
        _one(visible=0.4),
        _one(masks=NETWORK, iou=0.85),
        _one(masks=NETWORK, iou=1.0),
        _one(sensor="holes"),
        _one(scenes=FLOATING, distance=0.7),
        _one(scenes=SAMPLED, samples=300),
        _one(scenes=SAMPLED, samples=10**9),
        _one(scenes=SAMPLED, samples=10**9, visible=0.4),
    ]
    groups = {
        title: {group.name: len(group.measured) for group in some}
        for title, some in grouped(measured).items()
    }
    assert groups == {
        "distance": {"0.3 to 0.6 m": 1, "0.6 to 0.8 m": 3, "1.6 to 2 m": 1},
        "share that is seen": {"30 to 50 %": 1, "90 to 100 %": 4},
        "kind": {"mug": 4},
        "mask": {"true": 2, "network, IoU 0.8 to 0.9": 1, "network, IoU 0.9 to 1": 1},
        "depth camera": {"real": 4, "holes": 1},
        "pixels looked at": {"300": 1, "900": 0, "2500": 0, "5000": 0, "all": 1},
    }


def _of(measured, what):
    [found] = [bound for bound in bounds(measured) if bound.what == what]
    return found


def test_a_bound_holds_up_to_its_limit():
    what = "centre, true masks"
    held = _of([_one(centre=0.0025)] * 3, what)
    assert held.held and held.reached == "2.5 / 2.5 mm" and held.things == 3
    assert held.asked == "median ≤ 2.5, p95 ≤ 6 mm"
    assert not _of([_one(centre=0.0026)] * 3, what).held  # the median
    far_off = [_one()] * 10 + [_one(centre=0.02)]
    assert not _of(far_off, what).held  # the 95th percentile
    others = [_one(centre=0.02, distance=1.2), _one(centre=0.02, visible=0.3)]
    assert _of([_one(), *others], what).things == 1


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sizes": (0, 0, 0.019)}, "worst axis over the longest edge, true masks"),
        ({"sizes": (0.007, 0.004, 0.013)}, "an axis over itself, true masks"),
        ({"yaw": (2.0, True, math.radians(9))}, "yaw of elongated things, true masks"),
        ({"square": 6.3}, "covariance, true masks"),
        ({"square": 1.0}, "covariance, true masks"),
        ({"upright": 9.0}, "covariance of upright boxes, true masks"),
    ],
)
def test_each_figure_has_its_bound(changes, what):
    good = [_one()] * 95 + [_one(square=8.0, upright=8.0)] * 5
    assert _of(good, what).held
    assert not _of([_one(**changes)] * 95 + good[-5:], what).held


def test_covariances_must_not_hold_too_much_either():
    assert not _of([_one()] * 100, "covariance, true masks").held  # all of them inside
    outside = [_one(square=8.0)] * 11 + [_one(square=2.5)] * 89
    assert not _of(outside, "covariance, true masks").held


def test_one_floating_thing_that_is_far_off_breaks_the_bound():
    floating = [_one(scenes=FLOATING)] * 99 + [_one(scenes=FLOATING, centre=0.031)]
    bound = _of(floating, "centre of a floating mug, mask true")
    assert not bound.held and bound.reached == "1.0 / 31 mm"
    assert _of(floating[:99], "centre of a floating mug, mask true").held


def test_some_pixels_may_be_a_tenth_worse_than_all():
    what = "centre by 900 pixels of a true mask over that by all"
    every = [_one(scenes=SAMPLED, samples=10**9)] * 3
    bound = _of([*every, _one(scenes=SAMPLED, centre=0.00109)], what)
    assert bound.held and bound.reached == "1.09"
    assert not _of([*every, _one(scenes=SAMPLED, centre=0.00111)], what).held


def test_of_what_is_behind_a_bottle_only_what_is_seen_enough_counts():
    what = "centre behind a bottle that the mask leaves out"
    behind = [_one(scenes=BEHIND, visible=0.6), _one(scenes=BEHIND, visible=0.4, centre=0.05)]
    assert _of(behind, what).held and _of(behind, what).things == 1
    assert not _of([*behind, _one(scenes=BEHIND, visible=0.6, centre=0.01)], what).held


def test_of_holes_only_what_has_little_depth_counts():
    what = "coverage below 60 %, true masks"
    holes = [_one(sensor="holes", coverage=0.3)] * 9
    assert _of([*holes, _one(sensor="holes", coverage=0.9, square=99.0)], what).held
    assert not _of([*holes[1:], *[_one(sensor="holes", coverage=0.3, square=99.0)] * 2], what).held


def test_what_was_not_measured_is_in_no_table():
    text = describe_space([_one()])
    assert "floating" not in text and "network" not in text and "nan" not in text
    assert "| centre, true masks" in text and "| NO |" not in text.split("\n\n")[0].split("cov")[0]


def test_json_has_no_nan():
    summary = summarize_space([_one(errors=None)])
    figures = summary["groups"]["kind"]["mug"]
    assert figures[TRUE]["recall"] == 0 and figures[TRUE]["centre"]["median"] is None
    assert figures[NETWORK]["things"] == 0 and figures[NETWORK]["recall"] is None
