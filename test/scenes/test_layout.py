# SPDX-License-Identifier: Apache-2.0
"""Bodies rest on the table, roll without slipping, and keep apart."""

from dataclasses import replace

import numpy as np
import pytest

from yolact_ros.choices import EXTRA_KINDS
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.scenes.layout import Body, collides, place, rotation_about
from yolact_ros.scenes.objects import CLUTTER_KINDS, make_solid
from yolact_ros.scenes.scene import Scene


@pytest.mark.parametrize("kind", [*DEMO_CLASSES, *CLUTTER_KINDS, *EXTRA_KINDS])
def test_everything_rests_on_the_table_at_all_times(kind: str) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        body = place(make_solid(kind, rng), (0.1, -0.2), rng, moving=True)
        for time in (0.0, 0.7, 2.1):
            posed = body.at(time)
            outline = posed.to_world(body.solid.outline)
            # The outline encloses curved surfaces by up to 6 % of their size.
            slack = 0.06 * body.solid.radius + 1e-6
            assert -slack <= outline[:, 2].min() <= 1e-6


def _disc(x: float, radius: float, amplitude: float = 0.0) -> Body:
    rng = np.random.default_rng(0)
    body = place(make_solid("can", rng), (0.0, 0.0), rng, moving=False)
    return replace(
        body,
        footprint=np.array([[x, 0.0, radius]]),
        direction=np.array([1.0, 0.0]),
        amplitude=amplitude,
    )


def test_collisions_are_of_the_whole_motion() -> None:
    assert not collides(_disc(0.0, 0.05), [_disc(0.2, 0.05)])
    assert collides(_disc(0.0, 0.05), [_disc(0.09, 0.05)])
    assert collides(_disc(0.0, 0.05, amplitude=0.1), [_disc(0.2, 0.05)])


def test_a_rolling_ball_does_not_slip() -> None:
    rng = np.random.default_rng(4)
    body = replace(
        place(make_solid("ball", rng), (0.0, 0.0), rng, moving=False),
        amplitude=0.05,
        rate=1.0,
        phase=0.0,
    )
    step = 1e-5
    before, after = body.at(0.3), body.at(0.3 + step)
    r0, p0, r1, p1 = before.rotation, before.position, after.rotation, after.position
    contact = r0.T @ np.array([0.0, 0.0, -body.solid.radius])  # material point on the table
    speed = (r1 @ contact + p1 - r0 @ contact - p0) / step
    assert np.linalg.norm(p1 - p0) / step > 0.01
    np.testing.assert_allclose(speed, 0, atol=1e-5)


def test_nothing_touches_in_scenes() -> None:
    for seed in range(6):
        scene = Scene.random(seed, width=160, height=120)
        for i, body in enumerate(scene.bodies):
            assert not collides(body, scene.bodies[:i])


def test_rotation_is_right_handed() -> None:
    turn = rotation_about(np.array([0.0, 0.0, 1.0]), np.pi / 2)
    np.testing.assert_allclose(turn @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)


def test_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match=r"kind: expected one of ball, .*, got 'teapot'"):
        make_solid("teapot", np.random.default_rng(0))
