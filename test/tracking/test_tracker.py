# SPDX-License-Identifier: Apache-2.0
"""Things keep their numbers, whatever passes before them, and whatever comes in."""

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.bench.memory import read_sizes
from yolact_ros.errors import InputError
from yolact_ros.structures import Instances, Objects, PackedMask
from yolact_ros.tracking import SpaceTracker, Tracker, TrackerSettings, thumbnail

PERIOD = 1 / 15  # seconds
NAMES = ("ball", "can", "mug")


def seen(*things, size=(480, 640)):
    """Instances of (x, y, width, height, class, score), whose masks fill their boxes."""
    masks = [
        PackedMask.from_array(np.ones((height, width), np.bool_), x, y)
        for x, y, width, height, _, _ in things
    ]
    return Instances(
        image_size=size,
        boxes=np.array([(x, y, x + w, y + h) for x, y, w, h, _, _ in things], np.float32).reshape(
            -1, 4
        ),
        scores=np.array([thing[5] for thing in things], np.float32),
        class_ids=np.array([thing[4] for thing in things], np.int64),
        class_names=tuple(NAMES[thing[4]] for thing in things),
        packed_masks=tuple(masks),
    )


def located(*centres, first=1):
    """Objects of instances from `first` on."""
    count = len(centres)
    return Objects(
        instances=np.arange(first, first + count),
        centres=np.array(centres, float).reshape(-1, 3),
        sizes=np.full((count, 3), 0.1),
        orientations=np.tile([0.0, 0, 0, 1], (count, 1)),
        covariances=np.tile(np.eye(6) * 1e-6, (count, 1, 1)),
        coverages=np.ones(count, np.float32),
        points=np.full(count, 100),
    )


def test_a_thing_keeps_its_number_while_another_hides_it():
    tracker = Tracker()
    numbers = set()
    for frame in range(60):
        x = 40 + 6 * frame
        things = [(260, 180, 120, 120, 0, 0.95)]
        if not 210 < x < 380:  # 28 frames, almost 2 seconds
            things.append((x, 240, 50, 40, 2, 0.9))
        ids = tracker.update(seen(*things), frame * PERIOD).track_ids
        assert ids[0] == 1
        numbers |= set(ids[1:].tolist())
    assert numbers == {2}


def test_what_was_hidden_longer_than_the_buffer_is_new():
    for seconds, number in ((2.9, 1), (3.1, 2)):
        tracker = Tracker()
        mug = seen((100, 100, 50, 50, 2, 0.9))
        tracker.update(mug, 0)
        assert tracker.update(mug, seconds).track_ids.tolist() == [number]


@pytest.mark.parametrize("scale", [1, 2])
def test_what_was_hidden_is_found_again_far_away_and_under_another_name(scale):
    """How far does not depend on the resolution; under another name it is not quite as far."""
    size = (480 * scale, 640 * scale)
    for moved, class_id, number in (
        (250, 2, 1),
        (250, 1, 1),
        (380, 2, 1),
        (380, 1, 2),
        (480, 2, 2),
    ):
        tracker = Tracker()
        tracker.update(seen((10, 100, 50 * scale, 50 * scale, 2, 0.9), size=size), 0)
        tracker.update(seen(size=size), 0.5)
        found = seen((10 + moved * scale, 100, 50 * scale, 50 * scale, class_id, 0.9), size=size)
        assert tracker.update(found, 1.0).track_ids.tolist() == [number], (moved, class_id)


def test_two_of_a_kind_that_pass_each_other_keep_their_numbers():
    tracker = Tracker()
    for frame in range(80):
        left = (40 + 6 * frame, 200, 60, 60, 1, 0.9)
        right = (540 - 6 * frame, 230, 60, 60, 1, 0.8)
        ids = tracker.update(seen(left, right), frame * PERIOD).track_ids
        assert ids.tolist() == [1, 2]


def test_the_real_time_between_stamps_counts():
    """At a tenth of the rate it moves ten times as far from image to image."""
    for every in (1, 10):
        tracker = Tracker()
        for frame in range(0, 90, every):
            found = seen((20 + 3 * frame, 200, 60, 60, 1, 0.9))
            assert tracker.update(found, frame * PERIOD).track_ids.tolist() == [1]


def test_a_low_score_keeps_a_thing_and_begins_none():
    tracker = Tracker()
    assert tracker.update(seen((100, 100, 50, 50, 2, 0.3)), 0).track_ids.tolist() == [0]
    assert tracker.update(seen((100, 100, 50, 50, 2, 0.9)), 1).track_ids.tolist() == [1]
    assert tracker.update(seen((102, 100, 50, 50, 2, 0.3)), 2).track_ids.tolist() == [1]
    assert tracker.update(seen((102, 100, 50, 50, 2, 0.1)), 3).track_ids.tolist() == [0]


def test_a_duplicate_of_another_class_is_not_tracked():
    tracked = Tracker().update(
        seen((100, 100, 50, 50, 2, 0.9), (102, 100, 50, 50, 1, 0.8), (160, 100, 50, 50, 1, 0.7)), 0
    )
    assert tracked.track_ids.tolist() == [1, 0, 2]
    assert tracked.class_names == ("mug", "can", "can")


def test_the_class_is_voted():
    tracker = Tracker()
    for frame, class_id in enumerate((2, 2, 1, 2, 1)):
        found = seen((100, 100, 50, 50, class_id, 0.9))
        tracked = tracker.update(found, frame * PERIOD)
        assert (tracked.class_ids.tolist(), tracked.class_names) == ([2], ("mug",))
    for frame in range(5, 8):
        tracked = tracker.update(seen((100, 100, 50, 50, 1, 0.9)), frame * PERIOD)
    assert tracked.class_names == ("can",) and tracked.track_ids.tolist() == [1]


def test_far_away_in_space_is_another_thing():
    box = (100, 100, 50, 50, 2, 0.9)
    for depth, number in ((1.05, 1), (1.6, 2)):
        tracker = Tracker()
        tracker.update(seen(box), 0, np.array([[0, 0, 1.0]]))
        tracker.update(seen(box), PERIOD / 2, np.full((1, 3), np.nan))
        tracked = tracker.update(seen(box), PERIOD, np.array([[0, 0, depth]]))
        assert tracked.track_ids.tolist() == [number]


def test_velocity_and_size_are_measured_and_held_while_it_is_hidden():
    tracker, in_space = Tracker(), SpaceTracker()
    speed = np.array([0.2, 0.0, -0.1])
    tracked = tracker.update(seen((100, 100, 60, 50, 2, 0.9)), 0)
    first = in_space.update(tracked, located((0, 0, 1.0)))
    assert np.isnan(first.velocities).all() and np.isnan(first.covariances).all()
    for frame in range(1, 30):
        tracked = tracker.update(seen((100 + 5 * frame, 100, 60, 50, 2, 0.9)), frame * PERIOD)
        moving = in_space.update(tracked, located((0, 0, 1.0) + speed * frame * PERIOD))
    np.testing.assert_allclose(moving.velocities[0], speed, atol=0.01)
    assert (np.linalg.eigvalsh(moving.covariances[0]) > 0).all()
    np.testing.assert_allclose(moving.sizes, 0.1)
    for part in range(1, 6):  # its left part vanishes: the middle of the rest moves to the right
        frame = 29 + part
        objects = located(np.array([0.02 * part, 0, 1.0]) + speed * frame * PERIOD)
        objects.sizes[:] = 0.1 - 0.015 * part
        found = seen((245 + 10 * part, 100, 60 - 10 * part, 50, 2, 0.9))
        tracked = tracker.update(found, frame * PERIOD)
        moving = in_space.update(tracked, objects)
    assert tracked.track_ids.tolist() == [1]
    np.testing.assert_allclose(moving.velocities[0], speed, atol=0.05)  # 0.5 m/s as measured
    np.testing.assert_allclose(moving.sizes, 0.1)


def test_images_that_were_left_out_or_not_tracked_cost_no_velocity():
    """Objects are measured of some images alone, and of some of their instances."""
    tracker, in_space = Tracker(), SpaceTracker()
    for frame in range(40):
        x = 0.3 * frame * PERIOD
        weak = (400, 300, 40, 40, 0, 0.2)
        tracked = tracker.update(seen((100, 100, 60, 50, 2, 0.9), weak), frame * PERIOD)
        if frame % 3 == 0:
            moving = in_space.update(tracked, located((x, 0, 1.0), (0, 0, 1.0)))
    np.testing.assert_allclose(moving.velocities[0], (0.3, 0, 0), atol=0.01)
    assert np.isnan(moving.velocities[1]).all() and tracked.track_ids.tolist() == [1, 0]


def test_a_held_size_follows_the_axes_of_the_box():
    tracker, in_space = Tracker(), SpaceTracker()
    objects = located((0, 0, 1.0))
    objects.sizes[:] = 0.3, 0.2, 0.1
    in_space.update(tracker.update(seen((100, 100, 60, 50, 2, 0.9)), 0), objects)
    hidden = tracker.update(seen((100, 100, 30, 50, 2, 0.9)), PERIOD)
    assert hidden.shares.tolist() == [0.5]
    turned = located((0, 0, 1.0))
    turned.orientations[:] = 0, 0, np.sqrt(0.5), np.sqrt(0.5)  # a quarter turn about z
    np.testing.assert_allclose(in_space.update(hidden, turned).sizes, [[0.2, 0.3, 0.1]])


def test_velocities_begin_anew_after_a_jump_back_of_time():
    in_space = SpaceTracker()
    tracker = Tracker()
    for stamp in (10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7):
        tracked = tracker.update(seen((100, 100, 50, 50, 2, 0.9)), stamp)
        moving = in_space.update(tracked, located((0, 0, 1.0)))
    assert np.isfinite(moving.velocities).all()
    tracked = dataclasses.replace(tracked, stamp=1.0)
    assert np.isnan(in_space.update(tracked, located((0, 0, 1.0))).velocities).all()


@pytest.mark.parametrize(
    ("stamp", "size"), [(-PERIOD, (480, 640)), (PERIOD, (240, 640))], ids=["time", "size"]
)
def test_a_jump_back_of_time_and_another_size_begin_anew(stamp, size):
    tracker = Tracker()
    mug = (100, 100, 50, 50, 2, 0.9)
    assert tracker.update(seen(mug), 0).track_ids.tolist() == [1]
    assert tracker.update(seen(mug, size=size), stamp).track_ids.tolist() == [2]


def test_a_cut_ends_all_tracks_and_a_change_of_light_none():
    rng = np.random.default_rng(0)
    first, second = rng.integers(60, 200, (2, 12, 16, 3), np.uint8).repeat(40, 1).repeat(40, 2)
    tracker, mug = Tracker(), seen((100, 100, 50, 50, 2, 0.9))
    pictures = [first, first // 2 + 10, second, second]
    tracked = [
        tracker.update(mug, frame * PERIOD, thumbnail=thumbnail(picture))
        for frame, picture in enumerate(pictures)
    ]
    assert [one.track_ids.tolist() for one in tracked] == [[1], [1], [2], [2]]
    assert [one.cut for one in tracked] == [False, False, True, False]


def test_cameras_know_nothing_of_each_other():
    front, rear = Tracker(), Tracker()
    front.update(seen((100, 100, 50, 50, 2, 0.9)), 0)
    assert rear.update(seen((300, 100, 50, 50, 2, 0.9)), 0).track_ids.tolist() == [1]


def test_objects_of_other_instances_and_wrong_settings_are_refused():
    tracker, mug = Tracker(), seen((100, 100, 50, 50, 2, 0.9))
    with pytest.raises(InputError, match=r"centres: expected \(1, 3\), .* got \(2, 3\)"):
        tracker.update(mug, 0, np.zeros((2, 3)))
    with pytest.raises(InputError, match="stamp: expected a finite number of seconds, got nan"):
        tracker.update(mug, np.nan)
    with pytest.raises(InputError, match="those of the 1 instances, got one of instance 3"):
        SpaceTracker().update(tracker.update(mug, 0), located((0, 0, 1), first=3))
    with pytest.raises(ValueError, match="those of 1 instances, got one of instance 3"):
        located((0, 0, 1), first=3).centres_by_instance(1)
    with pytest.raises(InputError, match="buffer: expected a number of 0 or more, got -1"):
        TrackerSettings(buffer=-1)


NUMBERS = st.floats(width=32, allow_nan=True, allow_infinity=True)
IMAGES = st.lists(
    st.tuples(
        st.lists(
            st.tuples(
                st.one_of(
                    st.tuples(*[st.integers(-50, 700)] * 4), st.tuples(NUMBERS, *[NUMBERS] * 3)
                ),
                NUMBERS | st.floats(0, 1, width=32),
                st.integers(0, 2),
                st.tuples(*[st.integers(0, 24)] * 4),
                st.booleans(),
            ),
            max_size=6,
        ),
        st.one_of(st.floats(0, 100), st.floats(allow_nan=False, allow_infinity=False)),
        st.sampled_from([(48, 48), (50, 48)]),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(images=IMAGES)
def test_anything_may_come_in(images):
    tracker, in_space = Tracker(), SpaceTracker()
    for things, stamp, size in images:
        masks = []
        for _, _, _, (x, y, width, height), _ in things:
            masks.append(PackedMask.from_array(np.ones((height, width), np.bool_), x, y))
        instances = Instances(
            image_size=size,
            boxes=np.array([thing[0] for thing in things], np.float32).reshape(-1, 4),
            scores=np.array([thing[1] for thing in things], np.float32),
            class_ids=np.array([thing[2] for thing in things], np.int64),
            class_names=tuple(NAMES[thing[2]] for thing in things),
            packed_masks=tuple(masks),
        )
        rows = [row for row, thing in enumerate(things, start=1) if thing[4]]
        objects = located(*[(row, 0, 1) for row in rows])
        objects.instances[:] = rows
        centres = objects.centres_by_instance(len(things))
        picture = thumbnail(np.zeros((*size, 3), np.uint8))
        tracked = tracker.update(instances, stamp, centres, picture)
        moving = in_space.update(tracked, objects)
        ids = tracked.track_ids[tracked.track_ids > 0]
        assert len(ids) == len(set(ids.tolist()))
        assert len(tracked.class_names) == len(tracked.shares) == len(things)
        assert len(moving.velocities) == len(moving.sizes) == len(rows)


def test_memory_is_bounded_though_no_time_passes():
    rng = np.random.default_rng(0)
    tracker, in_space = Tracker(), SpaceTracker()
    for stamp in [0] * 60 + list(range(60)):
        corners = rng.integers(0, 400, (40, 2)).tolist()
        noise = seen(*((x, y, 9, 9, 0, 0.9) for x, y in corners))
        in_space.update(tracker.update(noise, stamp), located(*[(0, 0, 1)] * 40))
    assert len(tracker._tracks) <= 1000
    assert len(in_space._things.unseen) == len(in_space._things.row_of) <= 1040


def test_memory_is_bounded_in_noise_for_long():
    """`YOLACT_NOISE_FRAMES=100000 pytest test/tracking -k noise -s` takes minutes."""
    frames = int(os.environ.get("YOLACT_NOISE_FRAMES", "300"))
    rng = np.random.default_rng(1)
    tracker, in_space = Tracker(), SpaceTracker()
    peaks, memory, last = [], [], 0
    for frame in range(frames):
        places = rng.integers(0, 400, (20, 2)).tolist()
        scores = rng.uniform(0.1, 1, 20).tolist()
        noise = [
            (x, y, 30, 20, int(k), score)
            for (x, y), score, k in zip(places, scores, rng.integers(0, 3, 20), strict=True)
        ]
        centres = rng.uniform(-1, 1, (20, 3))
        tracked = tracker.update(seen(*noise), frame * PERIOD, centres)
        in_space.update(tracked, located(*centres))
        ids = tracked.track_ids[tracked.track_ids > 0]
        assert len(ids) == len(set(ids.tolist()))
        last = max(last, ids.max(initial=0))
        peaks.append(len(tracker._tracks))
        if frame % max(1, frames // 10) == 0:
            memory.append(read_sizes()["VmRSS"] / 1e6)
    print(f"{frames} images of noise: {last} numbers, {max(peaks)} tracks at most, MB {memory}")
    # 3 s of 15 Hz with 20 detections each are 900 at most
    assert max(peaks) <= 1000 and len(in_space._things.row_of) <= 1000
    assert max(peaks[frames // 2 :]) <= 1.5 * max(peaks[: frames // 2])
    assert memory[-1] - memory[2] < 8
