# SPDX-License-Identifier: Apache-2.0
"""The sums of `yolact-ros bench node`, by hand and for any fate of any frame."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.ros.bench.counts import (
    CameraRun,
    counts_of,
    describe_camera,
    is_settled,
    joined_stages,
    span_seconds,
    stages_of,
)
from yolact_ros.ros.counters import COUNTERS, OUTCOMES


def run(published, results=None, *, skipped=0, topics=("instances",), **counts):
    """A run whose frames have the stamps 0, 100, ... ms; `results`: (frame, age in ms) each."""
    stamps = np.arange(published, dtype=np.int64) * 100_000_000
    results = results or []
    pairs = [(frame * 10**8, frame * 10**8 + age * 10**6) for frame, age in results]
    arrivals = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    counters = dict.fromkeys(COUNTERS, 0) | counts
    return CameraRun(stamps, skipped, counters, dict.fromkeys(topics, arrivals))


def test_sums_of_frames_that_all_arrive():
    described = describe_camera([run(3, [(0, 10), (1, 30), (2, 20)], received=3, processed=3)])
    assert described["published"] == described["received"] == described["processed"] == 3
    assert described["lost_in_dds"] == 0 and described["problems"] == []
    assert described["results"] == {"instances": {"received": 3, "lost": 0}}
    assert described["windows_ns"] == [[0, 200_000_000]]
    assert described["age_ms"]["p50"] == 20 and described["age_ms"]["max"] == 30
    curve = described["age_curve_ms"]
    assert (curve[0], curve[50], curve[100]) == (10, 20, 30)


def test_drops_of_each_kind_are_told_apart():
    described = describe_camera(
        [
            run(
                10,
                [(9, 5)],
                received=7,
                lost=2,
                processed=1,
                replaced=2,
                too_old=1,
                bad=1,
                failed=1,
                unwanted=1,
            )
        ]
    )
    assert described["lost_in_dds"] == 3 and described["lost"] == 2
    assert described["problems"] == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (run(1, received=2, replaced=2), "received 2 of 1 published"),
        (
            run(5, received=4, lost=3, replaced=4),
            "published 5 = received 4 + lost in DDS 1, but the node was told of 3 lost",
        ),
        (
            run(5, received=5, replaced=3),
            "received 5 = processed 0 + replaced 3 + unwanted 0 + too old 0 + bad 0 + failed 0 + "
            "raised 0 + unpublished 0 + stopped 0 +2 "
            "that the node did not count",
        ),
        (
            run(2, [(0, 1)], received=2, processed=2),
            "instances: processed 2 = results 1 +1 lost",
        ),
        (
            run(2, [(0, 1), (0, 2)], received=2, processed=2),
            "instances: 1 results came twice",
        ),
        (
            run(2, [(0, 1), (7, 2)], received=2, processed=2),
            "instances: 1 results of frames that were not published",
        ),
    ],
)
def test_sums_that_do_not_close_are_named(wrong, problem):
    assert describe_camera([wrong])["problems"] == [problem]


def test_every_output_is_counted():
    both = run(1, [(0, 4)], received=1, processed=1, topics=("detections", "instances"))
    missing = np.zeros((0, 2), dtype=np.int64)
    described = describe_camera(
        [CameraRun(both.stamps, 0, both.counts, {**both.arrivals, "instances": missing})]
    )
    assert described["results"] == {
        "detections": {"received": 1, "lost": 0},
        "instances": {"received": 0, "lost": 1},
    }
    assert described["problems"] == ["instances: processed 1 = results 0 +1 lost"]
    assert described["age_ms"]["p50"] == 4  # of the first


def test_runs_are_joined():
    first = run(2, [(0, 10), (1, 20)], skipped=1, received=2, processed=2)
    second = run(4, [(0, 60)], skipped=2, received=3, lost=1, processed=1, replaced=2)
    described = describe_camera([first, second])
    assert (described["published"], described["skipped"], described["lost_in_dds"]) == (6, 3, 1)
    assert described["results"]["instances"]["received"] == 3
    assert described["age_ms"]["p50"] == 20 and described["age_ms"]["max"] == 60
    assert described["windows_ns"] == [[0, 100_000_000], [0, 300_000_000]]
    assert described["problems"] == []


def test_without_results_there_are_no_ages():
    described = describe_camera([run(2, received=2, unwanted=2)])
    assert described["age_ms"] is None and described["age_curve_ms"] is None
    assert describe_camera([run(0)])["windows_ns"] == []


@given(st.lists(st.sampled_from([*OUTCOMES, "lost in DDS"]), max_size=60), st.integers(0, 60))
def test_sums_close_for_any_fates_and_only_then(fates, told):
    number = Counter(fates)
    lost = number.pop("lost in DDS", 0)
    results = [(place, 5) for place, fate in enumerate(fates) if fate == "processed"]
    told = min(told, lost)
    counts = {**number, "received": sum(number.values()), "lost": told}
    described = describe_camera([run(len(fates), results, **counts)])
    assert described["problems"] == [] and described["lost_in_dds"] == lost
    for name in ("received", *OUTCOMES):
        # one frame too many anywhere is seen
        changed = counts | {name: counts.get(name, 0) + 1}
        assert describe_camera([run(len(fates), results, **changed)])["problems"]


def test_counters_and_times_are_read_from_diagnostics():
    values = {meaning: str(place) for place, meaning in enumerate(COUNTERS.values())}
    values |= {"state": "active", "network p50 (ms)": "12.50", "network p95 (ms)": "20.00"}
    assert counts_of(values) == {name: place for place, name in enumerate(COUNTERS)}
    assert stages_of(values) == {"network": {"p50_ms": 12.5, "p95_ms": 20.0}}


def test_all_outcomes_are_counters():
    """A new counter must be an outcome, or not a frame's fate in the node."""
    assert set(COUNTERS) == {*OUTCOMES, "received", "lost", "overwritten"}


def test_a_node_with_a_frame_at_work_is_not_settled():
    counts = dict.fromkeys(COUNTERS, 0) | {"received": 3, "processed": 2, "lost": 1}
    assert not is_settled(counts)
    assert is_settled(counts | {"replaced": 1})


def test_times_of_several_nodes():
    one = {"network": {"p50_ms": 10.0, "p95_ms": 20.0}}
    two = {"network": {"p50_ms": 30.0, "p95_ms": 15.0}, "masks": {"p50_ms": 1.0, "p95_ms": 2.0}}
    assert joined_stages([one, two]) == {
        "network": {"p50_ms": 20.0, "p95_ms": 20.0},
        "masks": {"p50_ms": 1.0, "p95_ms": 2.0},
    }


def test_span_of_the_cameras_of_a_run():
    assert span_seconds([run(3, [(0, 10), (2, 50)]), run(5)]) == pytest.approx(0.25)
    assert span_seconds([run(5)]) == 0
    assert span_seconds([run(0)]) == 0
