# SPDX-License-Identifier: Apache-2.0
"""Things are where a scene was asked to put them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.scenes import Scene

SIZE = {"width": 160, "height": 120}
SEEDS = st.integers(0, 2**40)
KINDS = st.sampled_from(DEMO_CLASSES)


def outline_of(scene: Scene, identity: int) -> np.ndarray:
    """Outline (N, 3) of a body in the world at the start."""
    posed = scene.bodies[identity - 1].at(0.0)
    return posed.to_world(posed.solid.outline)


def sight(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """(3,) from the first body's middle to the camera, and to the second body's middle."""
    (_, thing), (_, bottle) = scene.states(1, 0.0), scene.states(2, 0.0)
    eye = scene.camera_pose(0.0).eye
    return eye - thing.position, bottle.position - thing.position


def test_the_camera_is_as_far_as_asked() -> None:
    scenes = [Scene.random(seed, distance=(0.45, 2.0), **SIZE) for seed in range(12)]
    far = [np.linalg.norm(scene.camera_pose(0.0).eye) for scene in scenes]
    # The camera sways by 3 cm at most.
    assert 0.42 <= min(far) < 0.75 and 1.7 < max(far) <= 2.03
    depths = [item.in_camera.position[2] for scene in scenes for item in scene.frame(0.0).objects]
    assert len(depths) > 40
    assert min(depths) < 0.7 and max(depths) > 1.9


def test_the_usual_distance_gives_the_usual_scenes() -> None:
    for seed in (0, 5):
        usual = Scene.random(seed, **SIZE).frame(0.3)
        asked = Scene.random(seed, distance=(0.62, 0.92), **SIZE).frame(0.3)
        np.testing.assert_array_equal(asked.image, usual.image)
        np.testing.assert_array_equal(asked.depth, usual.depth)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_nothing_reaches_behind_a_near_camera(seed: int) -> None:
    scene = Scene.random(seed, distance=(0.3, 0.3), **SIZE)
    camera = scene.camera_pose(0.0)
    for identity in range(1, len(scene.bodies) + 1):
        assert camera.to_camera(outline_of(scene, identity))[:, 2].min() >= 0.2


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, kind=KINDS, near=st.floats(0.45, 2.0))
def test_a_thing_rests_on_the_table(seed: int, kind: str, near: float) -> None:
    scene = Scene.single(seed, kind, distance=(near, near), **SIZE)
    [body] = scene.bodies
    assert body.solid.kind == kind
    # The outline encloses curved surfaces by up to 6 % of their size.
    assert -0.06 * body.solid.radius - 1e-6 <= outline_of(scene, 1)[:, 2].min() <= 1e-6
    camera, world = scene.states(1, 0.7)
    assert not world.velocity.any()
    assert np.linalg.norm(camera.position) == pytest.approx(near, abs=0.12)
    [item] = scene.frame(0.7).objects
    assert item.identity == 1
    if near > 0.6:
        assert item.visible_fraction == 1


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, kind=KINDS, elevation=st.floats(0.01, 1.0))
def test_a_thing_floats_at_its_height(seed: int, kind: str, elevation: float) -> None:
    scene = Scene.single(seed, kind, elevation=elevation, distance=(0.8, 1.5), **SIZE)
    assert outline_of(scene, 1)[:, 2].min() == pytest.approx(elevation)
    camera, _ = scene.states(1, 0.0)
    assert 0.68 < np.linalg.norm(camera.position) < 1.62
    [item] = scene.frame(0.0).objects
    assert item.visible_fraction == 1


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, kind=KINDS, gap=st.floats(0.14, 0.2), elevation=st.sampled_from([0.0, 0.3]))
def test_a_bottle_hides_a_part(seed: int, kind: str, gap: float, elevation: float) -> None:
    scene = Scene.single(seed, kind, occluder_gap=gap, elevation=elevation, **SIZE)
    frame = scene.frame(0.0)
    assert [(item.identity, item.class_name) for item in frame.objects] == [
        (1, kind),
        (2, "bottle"),
    ]
    thing, bottle = frame.objects
    assert 0.1 <= thing.visible_fraction < 0.97
    [alone] = replace(scene, bodies=scene.bodies[1:]).frame(0.0).objects
    assert bottle.area == alone.area  # nothing is in front of it
    towards, to_bottle = sight(scene)
    if not elevation:
        assert outline_of(scene, 2)[:, 2].min() == pytest.approx(0, abs=1e-9)
        towards[2] = to_bottle[2] = 0
    assert to_bottle @ towards / np.linalg.norm(towards) == pytest.approx(gap)
    # No point of the thing is within the bottle.
    points = frame.intrinsics.back_project(frame.true_depth)[frame.instance_map == 1]
    away = points @ frame.camera.rotation + frame.camera.eye - bottle.in_world.position
    assert np.hypot(away[:, 0], away[:, 1]).min() > scene.bodies[1].solid.radius


@pytest.mark.parametrize("options", [{}, {"elevation": 0.3}, {"occluder_gap": 0.15}])
def test_equal_requests_give_equal_scenes(options: dict[str, float]) -> None:
    first, second = (Scene.single(4, "mug", **options, **SIZE).frame(0.2) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.depth, second.depth)
    other = Scene.single(5, "mug", **options, **SIZE).frame(0.2)
    assert (other.image != first.image).mean() > 0.5


def test_wrong_requests_are_named() -> None:
    with pytest.raises(ValueError, match=r"kind: expected one of ball, .*, got 'mushroom'"):
        Scene.single(0, "mushroom")
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"elevation: expected 0 to 1 m, got "):
            Scene.single(0, "mug", elevation=wrong)
    for far in ((0.1, 1.0), (2.0, 1.0), (1.0, 5.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match=r"distance: expected 0.3 <= nearest <= farthest <= 3"):
            Scene.random(0, distance=far)
    for gap in (0.0, 5.0, -0.15, float("nan")):
        with pytest.raises(ValueError, match=r"occluder_gap: expected 0.05 to 1 m, or none, got "):
            Scene.single(0, "mug", occluder_gap=gap)
    for kind, gap, elevation in (("bowl", 0.05, 0.0), ("mug", 1.0, 0.3)):  # touches; is behind
        with pytest.raises(
            ValueError, match=rf"a bottle hides a part of the {kind} without.*got {gap}"
        ):
            Scene.single(0, kind, occluder_gap=gap, elevation=elevation, distance=(0.5, 0.5))
