# SPDX-License-Identifier: Apache-2.0
"""Where a frame says that things are, and how they move."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.scenes import Scene, textures
from yolact_ros.scenes.camera import CameraIntrinsics, CameraPose
from yolact_ros.scenes.layout import Body, place, rotation_about
from yolact_ros.scenes.objects import make_solid
from yolact_ros.scenes.solids import cuboid

Z = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class StillView:
    """A camera that does not sway."""

    at: CameraPose

    def pose(self, time: float) -> CameraPose:
        return self.at


@cache
def small_scene(seed: int) -> Scene:
    return Scene.random(seed, width=160, height=120)


def staged(*bodies: Body, eye: tuple[float, ...], target: tuple[float, ...], focal: float) -> Scene:
    """Bodies before a camera that rests."""
    pose = CameraPose.looking_at(np.array(eye), np.array(target), roll=0.0)
    intrinsics = CameraIntrinsics(320, 240, focal, focal, 159.5, 119.5)
    scene = Scene.random(0, width=320, height=240)
    return replace(scene, bodies=bodies, intrinsics=intrinsics, _view=StillView(pose))


def resting(kind: str, seed: int = 0, at: tuple[float, float] = (0.0, 0.0)) -> Body:
    rng = np.random.default_rng(seed)
    return place(make_solid(kind, rng), at, rng, moving=False)


def block(half: tuple[float, float, float], middle: tuple[float, float, float]) -> Body:
    """A grey box along the axes of the world."""
    faces = [textures.plain(16, (120, 120, 120)) for _ in range(3)]
    return replace(
        resting("box"),
        solid=cuboid("box", np.array(half), faces, 0.1),
        rotation=np.eye(3),
        position=np.array(middle),
    )


def test_the_face_of_a_box_of_known_place():
    scene = staged(
        block((0.05, 0.1, 0.08), (0, 0, 0.5)), eye=(-2, 0, 0.5), target=(0, 0, 0.5), focal=1900
    )
    frame = scene.frame(0.0)
    [item], [surface] = frame.objects, frame.visible_surfaces
    assert surface.points == item.area
    pixel = 1.95 / 1900
    # Its front is 5 cm before its middle; the camera's right is -y.
    np.testing.assert_allclose(surface.aligned.center, [0, 0, 1.95], atol=pixel)
    np.testing.assert_allclose(surface.aligned.size, [0.192, 0.1536, 0], atol=pixel)
    np.testing.assert_allclose(surface.oriented.center, [0, 0, 1.95], atol=pixel)
    np.testing.assert_allclose(surface.oriented.size, [0.192, 0, 0.1536], atol=pixel)
    np.testing.assert_allclose(surface.oriented.rotation[:, 0], [1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(item.in_camera.position, [0, 0, 2], atol=1e-12)
    np.testing.assert_allclose(
        item.in_camera.rotation, [[0, -1, 0], [0, 0, -1], [1, 0, 0]], atol=1e-12
    )
    np.testing.assert_allclose(item.in_world.position, [0, 0, 0.5])
    np.testing.assert_allclose(item.in_world.rotation, np.eye(3))


def test_the_visible_cap_of_a_sphere_of_known_place():
    ball = resting("ball")
    radius = ball.solid.radius
    ball = replace(ball, position=np.array([0.0, 0.0, 1.0]))
    distance = 100 * radius  # rays are parallel, almost
    scene = staged(ball, eye=(0, -distance, 1), target=(0, 0, 1), focal=1e4)
    [surface] = scene.frame(0.0).visible_surfaces
    # Of the pixels of a disc of radius 1, 2 % lie beyond 0.8953 on one side (the area of that
    # segment), 2 % within sqrt(0.02) of the middle and 2 % beyond sqrt(0.98).
    near, far = radius * np.sqrt(0.98), radius * np.sqrt(0.02)
    side = 2 * 0.8953 * radius
    middle = [0, 0, distance - 0.5 * (near + far)]
    size = [side, side, near - far]
    for box, axes in ((surface.aligned, [0, 1, 2]), (surface.oriented, [0, 2, 1])):
        np.testing.assert_allclose(box.center, middle, atol=0.02 * radius)
        np.testing.assert_allclose(box.size[axes], size, rtol=0.015)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 5), time=st.floats(-50, 50))
def test_every_state_is_that_of_its_body_and_camera(seed, time):
    scene = small_scene(seed)
    frame = scene.frame(time)
    identities = [item.identity for item in frame.objects]
    assert identities == sorted(set(identities))
    for item in frame.objects:
        body = scene.bodies[item.identity - 1]
        assert body.solid.kind == item.class_name
        world, seen, camera = item.in_world, item.in_camera, frame.camera
        posed = body.at(time)
        np.testing.assert_array_equal(world.rotation, posed.rotation)
        corners = np.array([body.solid.low, body.solid.high])
        np.testing.assert_allclose(posed.to_world(corners).mean(axis=0), world.position)
        np.testing.assert_allclose(seen.position, camera.to_camera(world.position))
        np.testing.assert_allclose(seen.rotation, camera.rotation @ world.rotation)
        np.testing.assert_allclose(seen.rotation @ seen.rotation.T, np.eye(3), atol=1e-9)
        np.testing.assert_array_equal(item.center, seen.position.astype(np.float32))
        for state, same in zip((seen, world), scene.states(item.identity, time), strict=True):
            np.testing.assert_array_equal(state.position, same.position)
            np.testing.assert_array_equal(state.velocity, same.velocity)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 5), time=st.floats(-50, 50))
def test_velocities_are_those_of_the_positions(seed, time):
    scene = small_scene(seed)
    period = 0.02
    for identity, body in enumerate(scene.bodies, start=1):
        before, now, after = (
            scene.states(identity, time + shift) for shift in (-period, 0, period)
        )
        for one, state, two in zip(before, now, after, strict=True):
            measured = (two.position - one.position) / (2 * period)
            # The third derivative of these motions is below 0.3 m/s^3.
            np.testing.assert_allclose(state.velocity, measured, atol=0.3 * period**2 / 6)
        if not body.amplitude and not body.spin:
            assert not now[1].velocity.any()


def test_velocity_of_a_slide_by_hand():
    body = replace(
        block((0.04, 0.04, 0.04), (0, 0, 0.04)),
        amplitude=0.05, direction=np.array([0.6, 0.8]), rate=2.0, phase=0.0,
    )  # fmt: skip
    scene = staged(body, eye=(-0.5, 0, 0.5), target=(0, 0, 0), focal=300)
    [item] = scene.frame(0.0).objects
    np.testing.assert_allclose(item.in_world.velocity, [0.06, 0.08, 0], atol=1e-6)
    # right is -y; down and forward are x halved by the pitch of 45 degrees
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        item.in_camera.velocity, [-0.08, -0.06 * half, 0.06 * half], atol=1e-6
    )
    [item] = scene.frame(np.pi / 4).objects  # the turning point
    np.testing.assert_allclose(item.in_world.velocity, 0, atol=1e-6)


def test_the_middle_of_a_turning_mug_goes_round_its_axis():
    body = replace(
        resting("mug"), rotation=np.eye(3), position=np.zeros(3), spin=1.5, rate=0.8, phase=0.0
    )
    scene = staged(body, eye=(-0.5, 0, 0.5), target=(0, 0, 0), focal=300)
    _, world = scene.states(1, 0.0)
    off = 0.5 * (body.solid.low[0] + body.solid.high[0])  # the handle's
    assert off > 0.01
    np.testing.assert_allclose(world.velocity, [0, 1.5 * 0.8 * off, 0], atol=1e-6)
    turned = rotation_about(Z, 1.5 * np.sin(0.8 * 0.5))
    np.testing.assert_allclose(scene.states(1, 0.5)[1].rotation, turned, atol=1e-12)


def test_identities_stay_when_something_disappears():
    # The can passes behind the screen; the ball stands beside it.
    can = replace(
        resting("can"), rotation=np.eye(3), position=np.zeros(3),
        amplitude=0.3, direction=np.array([0.0, 1.0]), rate=1.0, phase=0.0,
    )  # fmt: skip
    screen = block((0.01, 0.12, 0.1), (-0.2, 0, 0.1))
    ball = resting("ball", at=(-0.2, 0.3))
    scene = staged(can, screen, ball, eye=(-1.2, 0, 0.3), target=(0, 0, 0.1), focal=250)
    hidden, seen = scene.frame(0.0), scene.frame(np.pi / 2)
    assert [item.class_name for item in hidden.objects] == ["box", "ball"]
    assert [item.identity for item in hidden.objects] == [2, 3]
    assert [item.class_name for item in seen.objects] == ["can", "box", "ball"]
    assert [item.identity for item in seen.objects] == [1, 2, 3]
    # What is hidden still has a state.
    np.testing.assert_allclose(scene.states(1, 0.0)[1].velocity, [0, 0.3, 0], atol=1e-6)


def test_true_depth_has_no_flaw():
    balls = 0
    for seed in (0, 1, 6, 7, 100):
        frame = small_scene(seed).frame(1.0)
        assert frame.true_depth.dtype == np.float32
        assert (frame.true_depth > 0).all()
        points = frame.intrinsics.back_project(frame.true_depth)
        for number, item in enumerate(frame.objects, start=1):
            if item.class_name == "ball":
                distance = np.linalg.norm(
                    points[frame.instance_map == number] - item.in_camera.position, axis=1
                )
                np.testing.assert_allclose(distance, item.size[0] / 2, atol=2e-5)
                balls += 1
    assert balls >= 2


def test_boxes_lie_within_what_is_seen():
    for seed in (2, 3):
        frame = small_scene(seed).frame(0.4)
        assert len(frame.visible_surfaces) == len(frame.objects)
        for item, surface in zip(frame.objects, frame.visible_surfaces, strict=True):
            assert surface.points == item.area
            # In no direction do its points reach beyond half the diagonal of the whole thing.
            reach = 0.5 * np.linalg.norm(item.size)
            for box in (surface.aligned, surface.oriented):
                middle = (box.center - item.center) @ box.rotation
                assert (np.abs(middle) + 0.5 * box.size < reach).all()
            np.testing.assert_allclose(
                surface.oriented.rotation[:, 2], frame.camera.rotation @ Z, atol=1e-9
            )
