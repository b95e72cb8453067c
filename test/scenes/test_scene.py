# SPDX-License-Identifier: Apache-2.0
"""Scenes: what a frame says about itself must be what is in its pixels."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.scenes.layout import Body
from yolact_ros.scenes.objects import CLUTTER_KINDS
from yolact_ros.scenes.scene import SCENE_CLASSES, Scene, SceneFrame


@cache
def small_scene(seed: int, width: int = 320, height: int = 240) -> Scene:
    """Scene of a seed, made once: tables and textures take longer than a frame."""
    return Scene.random(seed, width=width, height=height)


def points_of(frame: SceneFrame, number: int) -> np.ndarray:
    """Measured points (N, 3) of an object in the camera frame."""
    chosen = (frame.instance_map == number) & (frame.depth > 0)
    return frame.intrinsics.back_project(frame.depth)[chosen]


def assert_truth_is_consistent(
    frame: SceneFrame, class_names: tuple[str, ...] = DEMO_CLASSES
) -> None:
    k = frame.intrinsics
    shape = (k.height, k.width)
    assert frame.image.shape == (*shape, 3)
    assert frame.image.dtype == np.uint8
    assert frame.depth.shape == shape
    assert frame.depth.dtype == np.float32
    assert np.isfinite(frame.depth).all()
    assert (frame.depth >= 0).all()
    assert frame.instance_map.shape == shape
    assert frame.instance_map.dtype == np.uint16
    assert set(np.unique(frame.instance_map)) - {0} == set(range(1, len(frame.objects) + 1))
    for number, item in enumerate(frame.objects, start=1):
        rows, columns = np.nonzero(frame.instance_map == number)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert tuple(item.box) == box
        assert item.box.dtype == np.float32
        assert item.area == len(rows) >= 64 * k.width * k.height / (640 * 480)
        assert 0.1 <= item.visible_fraction <= 1
        assert class_names[item.class_id] == item.class_name


@pytest.mark.parametrize(
    "size", [(640, 480), (64, 64), (320, 240), (97, 131), (1280, 720), (16, 300)]
)
def test_truth_is_consistent_at_any_size(size: tuple[int, int]) -> None:
    width, height = size
    assert_truth_is_consistent(Scene.random(3, width=width, height=height).frame(0.7))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**63),
    time=st.floats(-1e4, 1e4),
    width=st.integers(16, 200),
    height=st.integers(16, 200),
)
def test_truth_is_consistent_for_any_scene(seed: int, time: float, width: int, height: int) -> None:
    assert_truth_is_consistent(Scene.random(seed, width=width, height=height).frame(time))


def test_frames_depend_on_seed_size_and_time_alone() -> None:
    scene = Scene.random(11, width=160, height=120)
    first = scene.frame(0.4)
    scene.frame(2.0)
    for again in (scene.frame(0.4), Scene.random(11, width=160, height=120).frame(0.4)):
        np.testing.assert_array_equal(again.image, first.image)
        np.testing.assert_array_equal(again.depth, first.depth)
        np.testing.assert_array_equal(again.instance_map, first.instance_map)
    assert (Scene.random(12, width=160, height=120).frame(0.4).image != first.image).mean() > 0.5
    assert (scene.frame(0.5).image != first.image).any()


@pytest.mark.slow
def test_every_class_appears_and_most_objects_are_well_visible() -> None:
    frames = [small_scene(seed).frame(0.0) for seed in range(30)]
    objects = [item for frame in frames for item in frame.objects]
    counts = np.bincount([item.class_id for item in objects], minlength=len(DEMO_CLASSES))
    assert (counts >= 5).all()
    visible = np.array([item.visible_fraction for item in objects])
    assert (visible >= 0.5).mean() > 0.8
    assert (visible < 0.5).any()
    assert 4 <= np.mean([len(frame.objects) for frame in frames]) <= 9


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**63),
    class_names=st.lists(st.sampled_from(SCENE_CLASSES), min_size=1, unique=True).map(tuple),
)
def test_only_the_kinds_asked_for_are_labelled(seed: int, class_names: tuple[str, ...]) -> None:
    scene = Scene.random(seed, width=120, height=90, class_names=class_names)
    kinds = {body.solid.kind for body in scene.bodies}
    assert kinds <= {*class_names, *CLUTTER_KINDS}
    assert_truth_is_consistent(scene.frame(0.4), class_names)


def test_scenes_are_what_they_were_before() -> None:
    # Seeds name scenes in reports and in shipped weights: they must not come to mean others.
    frames = [Scene.random(seed, width=160, height=120).frame(1.0) for seed in (0, 1, 1_000_000)]
    means = [float(frame.image.mean()) for frame in frames]
    names = [[item.class_name for item in frame.objects] for frame in frames]
    assert means == pytest.approx([137.17, 70.37, 85.92], abs=0.2)
    assert names == [
        ["mug", "bottle", "mug", "bottle", "can"],
        ["bowl", "bowl", "bowl", "ring", "ball", "box", "can", "cone", "ball"],
        ["bottle", "bottle", "mug", "ball", "mug", "mug", "bottle"],
    ]


@pytest.mark.slow
def test_points_of_a_ball_lie_on_its_sphere() -> None:
    balls = 0
    for seed in range(12):
        frame = Scene.random(seed).frame(1.0)
        for number, item in enumerate(frame.objects, start=1):
            if item.class_name != "ball":
                continue
            balls += 1
            points = points_of(frame, number)
            error = np.linalg.norm(points - item.center, axis=1) - item.size[0] / 2
            sigma = 0.002 * item.center[2] ** 2  # the greatest noise of any sensor
            assert abs(np.median(error)) < sigma
            assert np.abs(error).max() < 4 * sigma
    assert balls >= 3


def test_points_of_every_object_lie_within_its_box() -> None:
    for seed in range(8):
        frame = small_scene(seed).frame(0.3)
        for number, item in enumerate(frame.objects, start=1):
            points = points_of(frame, number)
            reach = np.linalg.norm(item.size) / 2
            noise = 4 * 0.002 * item.center[2] ** 2
            assert np.linalg.norm(points - item.center, axis=1).max() < reach + noise


def test_background_points_lie_on_the_table() -> None:
    for seed in (0, 2, 6):
        scene = Scene.random(seed)
        frame = scene.frame(0.6)
        pose = scene.camera_pose(0.6)
        chosen = (frame.instance_map == 0) & (frame.depth > 0) & (frame.depth < 1.3)
        points = frame.intrinsics.back_project(frame.depth)[chosen]
        height = (points @ pose.rotation + pose.eye)[:, 2]
        assert np.abs(np.median(height)) < 1e-3
        assert (np.abs(height) < 0.013).mean() > 0.97  # flat clutter included


def test_depth_has_few_holes() -> None:
    shares = [(small_scene(seed).frame(0).depth == 0).mean() for seed in range(9)]
    assert 0 < np.median(shares) < 0.05


def center_of(scene: Scene, body: Body) -> np.ndarray:
    """Centre of a body's bounding box in the camera frame at time 0, as a frame states it."""
    middle = body.at(0.0).to_world(0.5 * (body.solid.low + body.solid.high))
    return scene.camera_pose(0.0).to_camera(middle).astype(np.float32)


def test_visible_fraction_is_the_share_left_by_what_hides_it() -> None:
    checked = 0
    for seed in range(20):
        scene = small_scene(seed)
        frame = scene.frame(0.0)
        for item in frame.objects:
            x1, y1, x2, y2 = item.box
            if item.visible_fraction > 0.9:
                continue
            [body] = (b for b in scene.bodies if np.array_equal(center_of(scene, b), item.center))
            [whole] = replace(scene, bodies=(body,)).frame(0.0).objects
            if whole.visible_fraction < 1:
                continue  # beyond the image's border too
            assert item.visible_fraction == pytest.approx(item.area / whole.area)
            assert (whole.box[:2] <= (x1, y1)).all()
            assert (whole.box[2:] >= (x2, y2)).all()
            checked += 1
    assert checked >= 3


@pytest.mark.slow
def test_visible_fraction_counts_what_lies_outside_the_image() -> None:
    checked = 0
    for seed in range(12):
        scene = small_scene(seed)
        for body in scene.bodies:
            alone = replace(scene, bodies=(body,))
            for item in alone.frame(0.0).objects:
                inside = (item.box > 0).all() and item.box[2] < 320 and item.box[3] < 240
                if inside:
                    assert item.visible_fraction == 1
                elif item.visible_fraction < 1:
                    wider = replace(
                        scene.intrinsics, width=960, height=720,
                        cx=scene.intrinsics.cx + 320, cy=scene.intrinsics.cy + 240,
                    )  # fmt: skip
                    pixels = scene._sensor.sensor.pixels(720, 960, np.random.default_rng(0))
                    [whole] = replace(
                        alone, intrinsics=wider, _sensor=pixels
                    ).frame(0.0).objects  # fmt: skip
                    if (whole.box > 0).all() and whole.box[2] < 960 and whole.box[3] < 720:
                        assert item.visible_fraction == pytest.approx(item.area / whole.area)
                        checked += 1
    assert checked >= 3


def test_motion_is_smooth_and_goes_on() -> None:
    moved = 0.0
    for seed in range(6):
        scene = small_scene(seed)
        frames = [scene.frame(5 + i / 30) for i in range(4)]
        for before, after in pairwise(frames):
            if len(before.objects) != len(after.objects):
                continue  # one crossed the border or the limit of visibility
            for number, (a, b) in enumerate(zip(before.objects, after.objects, strict=True), 1):
                assert a.class_id == b.class_id
                assert np.linalg.norm(a.center - b.center) < 0.01
                if min(a.area, b.area) < 400:
                    continue
                first, second = before.instance_map == number, after.instance_map == number
                assert (first & second).sum() / (first | second).sum() > 0.6
        later = scene.frame(7)
        moved += (later.instance_map != frames[0].instance_map).mean()
    assert moved / 6 > 0.01


def test_intrinsics_scale_with_the_size() -> None:
    small = Scene.random(5, width=320, height=240)
    large = Scene.random(5, width=640, height=480)
    assert large.intrinsics.fx == pytest.approx(2 * small.intrinsics.fx)
    a, b = small.frame(0.0), large.frame(0.0)
    assert [o.class_id for o in a.objects] == [o.class_id for o in b.objects]
    for first, second in zip(a.objects, b.objects, strict=True):
        np.testing.assert_allclose(first.box * 2, second.box, atol=3)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"seed: expected an integer >= 0, got -1"):
        Scene.random(-1)
    for wrong in ((), ("ball", "stick"), ("ball", "ball")):
        with pytest.raises(ValueError, match=r"classes: expected some of ball, .*, mushroom, none"):
            Scene.random(0, class_names=wrong)
    with pytest.raises(ValueError, match=r"sides of at least 16, got 640x8"):
        Scene.random(0, width=640, height=8)
