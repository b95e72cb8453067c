# SPDX-License-Identifier: Apache-2.0
"""Things pass before and behind one another, at the speeds that are said, and never touch."""

from collections import Counter
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from yolact_ros.scenes import Scene
from yolact_ros.scenes.lanes import MIN_OUTSIDE, SPEEDS
from yolact_ros.scenes.paths import Path, seconds_between

TIMES = np.arange(0, 40, 0.1)


@cache
def scene_of(seed: int) -> Scene:
    return Scene.lanes(seed, width=160, height=120)


def across_and_ahead(scene: Scene) -> np.ndarray:
    """(2, 3) directions on the table: to the camera's right, and away from it."""
    azimuth = scene._view.rest[0]
    return np.array([[np.sin(azimuth), -np.cos(azimuth), 0], [np.cos(azimuth), np.sin(azimuth), 0]])


@pytest.mark.parametrize("seed", range(4))
def test_nothing_touches(seed: int) -> None:
    scene = scene_of(seed)
    directions = across_and_ahead(scene)
    taken = []  # low and high corner of each, across and ahead, at rest or on its way
    for body in scene.bodies:
        outlines = [body.at(time).to_world(body.solid.outline) for time in TIMES[::4]]
        reached = np.concatenate(outlines) @ directions.T
        assert np.concatenate(outlines)[:, 2].min() > -0.01  # outlines go around it
        taken.append((reached.min(axis=0), reached.max(axis=0)))
    for number, (low, high) in enumerate(taken):
        for other_low, other_high in taken[:number]:
            assert ((low > other_high + 0.005) | (high < other_low - 0.005)).any()


@pytest.mark.parametrize("seed", range(4))
def test_they_move_as_is_said(seed: int) -> None:
    scene = scene_of(seed)
    moving = [body for body in scene.bodies if body.path is not None]
    assert len(moving) == 4 and len(scene.bodies) == 8
    assert max(Counter(body.solid.kind for body in moving).values()) >= 2
    assert 33 <= np.rad2deg(scene._view.rest[1]) <= 40
    lifted = 0
    for body in moving:
        at = np.array([body.at(time).position for time in TIMES])
        speeds = np.linalg.norm(np.diff(at, axis=0), axis=1) / 0.1
        assert SPEEDS[0] * 0.8 < speeds.max() <= SPEEDS[1] + 1e-6
        assert (speeds < 1e-9).any()  # it pauses
        lifted += np.ptp(at[:, 2]) > 0.02
    assert lifted <= 1


def test_what_leaves_the_view_stays_away() -> None:
    left, step = 0, 0.5
    for seed in range(3):
        scene = scene_of(seed)
        for identity, body in enumerate(scene.bodies, start=1):
            if body.path is None:
                continue
            columns = []
            for time in np.arange(0, 40, step):
                x, _, z = scene.states(identity, time)[0].position
                columns.append(scene.intrinsics.fx * x / z + scene.intrinsics.cx)
            out = (np.array(columns) < 0) | (np.array(columns) > 159)
            turns = np.flatnonzero(np.diff(out.astype(int)))
            for leaves, returns in pairwise(turns):
                if out[leaves + 1]:
                    left += 1
                    assert (returns - leaves + 1) * step >= MIN_OUTSIDE
    assert left >= 2


def test_things_are_fully_hidden_and_come_back() -> None:
    returns = 0
    for seed in range(4):
        seen_before: dict[int, int] = {}
        for number, time in enumerate(np.arange(0, 10, 0.4)):
            for item in scene_of(seed).frame(time).objects:
                returns += number - seen_before.get(item.identity, number) > 1
                seen_before[item.identity] = number
    assert returns >= 3


def test_a_path_goes_straight_and_pauses() -> None:
    a, b = np.array([0.0, 0.0, 0.0]), np.array([0.3, 0.0, 0.1])
    path = Path.through([(b, seconds_between(a, b, 0.4)), (b, 1.0), (a, 2.0), (a, 0.5)])
    there = seconds_between(a, b, 0.4)
    assert path.times == pytest.approx([0, there, there + 1, there + 3, there + 3.5])
    np.testing.assert_allclose(path.at(there / 2), (a + b) / 2)
    np.testing.assert_allclose(path.at(there + 0.7), b)
    np.testing.assert_allclose(path.at(there + 3.6), path.at(0.1), atol=1e-12)
    np.testing.assert_allclose(path.at(-0.1), a)
    steps = np.array([path.at(time) for time in np.arange(0, there, 0.001)])
    speeds = np.linalg.norm(np.diff(steps, axis=0), axis=1) / 0.001
    assert speeds.max() == pytest.approx(0.4, rel=1e-3) and speeds[0] < 1e-3
