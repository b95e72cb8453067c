# SPDX-License-Identifier: Apache-2.0
"""Which frames make a batch and when, on a clock of the test's own."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.ros.scheduler import BatchScheduler


def primed(periods, **options):
    """A scheduler that has seen four frames of each camera, the last at 0, and taken them."""
    scheduler = BatchScheduler(list(periods), **options)
    arrivals = [(-n * period, name) for name, period in periods.items() for n in range(4)]
    for at, name in sorted(arrivals):
        scheduler.offer(name, at, at)
        scheduler.take(at)
    return scheduler


def test_nothing_is_due_without_a_frame_and_a_lone_camera_is_due_at_once():
    scheduler = BatchScheduler(["a"], batch_wait=1.0)
    assert scheduler.due(5.0) == math.inf
    assert scheduler.offer("a", "1", 5.0) is None
    assert scheduler.offer("a", "2", 6.0) == "1"
    assert scheduler.due(7.0) <= 7.0
    assert scheduler.take(7.0) == ["2"]
    assert scheduler.due(8.0) == math.inf


def test_a_batch_is_held_back_for_a_camera_that_is_expected_in_time():
    scheduler = primed({"a": 0.10, "b": 0.12}, batch_wait=0.05)
    scheduler.offer("a", "a1", 0.10)
    # b is expected at 0.12, and may come until a quarter of its period later.
    assert scheduler.due(0.10) == pytest.approx(0.15)
    scheduler.offer("b", "b1", 0.121)
    assert scheduler.due(0.121) == 0.121
    assert scheduler.take(0.121) == ["a1", "b1"]


def test_a_late_camera_is_given_up_before_the_deadline():
    scheduler = primed({"a": 0.10, "b": 0.12}, batch_wait=1.0)
    scheduler.offer("a", "a1", 0.10)
    assert scheduler.due(0.10) == pytest.approx(0.12 * 1.25)
    assert scheduler.due(0.151) == 0.151


@pytest.mark.parametrize("period", [0.16, 10.0])
def test_nothing_waits_for_a_camera_that_is_not_expected_by_the_deadline(period):
    scheduler = primed({"a": 0.10, "b": period}, batch_wait=0.05)
    scheduler.offer("a", "a1", 0.10)
    assert scheduler.due(0.10) == 0.10


def test_nothing_waits_for_a_camera_that_went_silent_or_never_came():
    scheduler = primed({"a": 0.10, "b": 0.10}, batch_wait=0.05)
    scheduler.offer("a", "a1", 0.50)
    assert scheduler.due(0.50) == 0.50
    scheduler = BatchScheduler(["a", "b"], batch_wait=0.05)
    scheduler.offer("a", "a1", 1.0)
    assert scheduler.due(1.0) == 1.0


def test_a_batch_that_is_full_waits_for_nobody():
    scheduler = primed({"a": 0.10, "b": 0.12, "c": 0.13}, batch_wait=0.05, max_batch=2)
    scheduler.offer("a", "a1", 0.10)
    assert scheduler.due(0.10) == pytest.approx(0.15)
    scheduler.offer("b", "b1", 0.12)
    assert scheduler.due(0.12) == 0.12


def test_newer_frames_do_not_put_the_deadline_off():
    scheduler = primed({"a": 0.01, "b": 0.1}, batch_wait=0.035)
    scheduler.offer("a", "a1", 0.07)
    for at in (0.08, 0.09, 0.10):
        assert scheduler.offer("a", at, at)
        assert scheduler.due(at) == pytest.approx(0.105)
    assert scheduler.take(0.105) == [0.10]


def test_those_that_waited_longest_are_taken_first_even_behind_a_faster_camera():
    scheduler = BatchScheduler(["fast", "b", "c"], max_batch=1)
    scheduler.offer("fast", "old", 1.0)
    scheduler.offer("b", "b1", 2.0)
    scheduler.offer("fast", "new", 3.0)  # keeps its place in the row
    scheduler.offer("c", "c1", 3.5)
    assert [scheduler.take(4.0), scheduler.take(4.0), scheduler.take(4.0)] == [
        ["new"],
        ["b1"],
        ["c1"],
    ]


def test_the_rate_counts_batches_and_gives_a_turn_back():
    scheduler = BatchScheduler(["a", "b"], max_rate=10.0)
    scheduler.offer("a", "a1", 1.0)
    scheduler.offer("b", "b1", 1.0)
    assert scheduler.take(1.0) == ["a1", "b1"]
    scheduler.offer("b", "rubbish", 1.01)
    assert scheduler.due(1.02) == pytest.approx(1.1)
    assert scheduler.take(1.11) == ["rubbish"]
    scheduler.return_turn()
    scheduler.offer("a", "a2", 1.12)
    assert scheduler.due(1.12) == 1.12
    scheduler.take(1.12)
    scheduler.offer("a", "a3", 1.13)
    assert scheduler.due(1.13) == pytest.approx(1.2)  # counted from when it was due
    scheduler.max_rate = 0.0
    assert scheduler.due(1.13) == 1.13


def test_cleared_is_as_new():
    scheduler = primed({"a": 0.10, "b": 0.10}, batch_wait=0.05)
    scheduler.offer("a", "a1", 0.10)
    scheduler.clear()
    assert scheduler.due(0.2) == math.inf
    scheduler.offer("a", "a2", 0.20)
    assert scheduler.due(0.2) == 0.20


MILLISECONDS = st.integers(0, 400)


@st.composite
def runs(draw):
    """Settings, the arrivals of each camera, and how long each batch takes, all in ms."""
    count = draw(st.integers(1, 5))
    arrivals = []
    for camera in range(count):
        kind = draw(st.sampled_from(["steady", "steady", "any", "none"]))
        if kind == "steady":
            period, phase = draw(st.integers(3, 120)), draw(st.integers(0, 119))
            arrivals += [(at, camera) for at in range(phase, 400, period)]
        elif kind == "any":
            times = draw(st.lists(MILLISECONDS, max_size=30, unique=True))
            arrivals += [(at, camera) for at in times]
    return {
        "count": count,
        "arrivals": sorted(arrivals),
        "batch_wait": draw(st.sampled_from([0, 5, 40])),
        "max_batch": draw(st.integers(0, count)),
        "max_rate": draw(st.sampled_from([0.0, 0.0, 20.0])),
        "work": draw(st.lists(st.integers(1, 100), min_size=1, max_size=8)),
    }


def simulate(run):
    """Plays a run; returns the batches as (start, end, frames), a frame being (camera, arrival)."""
    scheduler = BatchScheduler(
        [str(camera) for camera in range(run["count"])],
        batch_wait=run["batch_wait"] / 1000,
        max_batch=run["max_batch"],
        max_rate=run["max_rate"],
    )
    arrivals = [(at / 1000, camera) for at, camera in run["arrivals"]]
    now, batches = 0.0, []

    def arrive(until):
        while arrivals and arrivals[0][0] <= until:
            at, camera = arrivals.pop(0)
            scheduler.offer(str(camera), (camera, at), at)

    while True:
        arrive(now)
        due = scheduler.due(now)
        if due <= now:
            frames = scheduler.take(now)
            end = now + run["work"][len(batches) % len(run["work"])] / 1000
            batches.append((now, end, frames))
            now = end
            continue
        now = min(due, arrivals[0][0] if arrivals else math.inf)
        if now == math.inf:
            return batches


@settings(max_examples=300, deadline=None)
@given(runs())
def test_no_camera_starves_nothing_waits_too_long_and_only_the_newest_is_served(run):
    batches = simulate(run)
    most = run["max_batch"] or run["count"]
    wait = run["batch_wait"] / 1000
    gap = 1 / run["max_rate"] if run["max_rate"] else 0.0
    by_camera = {
        camera: [at / 1000 for at, of in run["arrivals"] if of == camera]
        for camera in range(run["count"])
    }
    served = {camera: [] for camera in by_camera}
    for number, (start, _, frames) in enumerate(batches):
        assert 1 <= len(frames) <= most
        assert len({camera for camera, _ in frames}) == len(frames)
        for camera, arrival in frames:
            # The newest that has come, and never the same one twice.
            assert arrival == max(at for at in by_camera[camera] if at <= start)
            assert arrival not in served[camera]
            served[camera].append(arrival)
            # Held back at most so long, apart from the batch before and the rate's turn.
            before = batches[number - 1][1] if number else 0.0
            turn = batches[number - 1][0] + gap if number else 0.0
            passed_over = len(frames) == most
            if not passed_over:
                assert start <= max(arrival + wait, before, turn) + 1e-9
        if number and gap:
            assert start - batches[number - 1][0] >= gap / 2 - 1e-9
    # No camera starves: from when it has a frame, at most so many batches begin without it.
    patience = math.ceil(run["count"] / most)
    for camera, arrivals in by_camera.items():
        waiting_since = arrivals[0] if arrivals else None
        missed = 0
        for start, _, frames in batches:
            if any(of == camera for of, _ in frames):
                later = [at for at in arrivals if at > start]
                waiting_since, missed = (later[0] if later else None), 0
            elif waiting_since is not None and waiting_since <= start:
                missed += 1
                assert missed < patience
        assert waiting_since is None, "its last frame was never served"


@settings(max_examples=100, deadline=None)
@given(
    periods=st.lists(st.integers(5, 60), min_size=2, max_size=5),
    work=st.integers(20, 150),
    max_batch=st.integers(1, 5),
)
def test_under_overload_every_camera_gets_its_share(periods, work, max_batch):
    """Whatever its rate, each camera is served in every round of ceil(N / max_batch) batches."""
    most = min(max_batch, len(periods))
    run = {
        "count": len(periods),
        "arrivals": sorted(
            (at, camera) for camera, period in enumerate(periods) for at in range(1, 4000, period)
        ),
        "batch_wait": 5,
        "max_batch": most,
        "max_rate": 0.0,
        "work": [work],
    }
    batches = simulate(run)
    worst = max(periods) + math.ceil(len(periods) / most) * work + 2 * 5
    for camera in range(len(periods)):
        starts = [start for start, _, frames in batches if any(of == camera for of, _ in frames)]
        gaps = [1000 * (later - one) for one, later in itertools.pairwise(starts)]
        assert max(gaps) <= worst + 1e-6
