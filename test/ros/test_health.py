# SPDX-License-Identifier: Apache-2.0
"""Level, cause and words for every state, from times and counters alone."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.ros.health import (
    LONGEST_PATIENCE,
    Activity,
    CameraHealth,
    Cause,
    Level,
    NodeHealth,
    Verdict,
    image_patience,
    judge_camera,
    judge_node,
)

OK, WARN, ERROR = Level.OK, Level.WARN, Level.ERROR
ACTIVE = NodeHealth("active", several=True)
SEEING = CameraHealth(
    topic="/image",
    since_active=100.0,
    since_wanted=50.0,
    since_image=0.03,
    since_result=0.1,
    period=1 / 30,
    recent={"received": 30, "processed": 15, "replaced": 15},
    unanswered={"received": 2, "replaced": 1},
)
BLIND = dataclasses.replace(SEEING, since_result=3.0, unanswered={"received": 90, "replaced": 89})


STARVED = (WARN, Cause.STARVED)


def camera(base=SEEING, **changed):
    return dataclasses.replace(base, **changed)


@pytest.mark.parametrize(
    "seen, node, level, cause, words",
    [
        (SEEING, {}, OK, Cause.SEGMENTING, "segmenting"),
        (camera(since_wanted=None), {}, OK, Cause.IDLE, "nobody subscribes"),
        # No image: by the time, not by a window's count.
        (camera(since_image=None), {}, ERROR, Cause.NO_IMAGE, "none came yet; 1 publisher"),
        (camera(since_image=None, since_active=1.0), {}, WARN, Cause.NO_IMAGE, "/image"),
        (camera(since_image=None, publishers=0), {}, ERROR, Cause.NO_PUBLISHER, "/image: none"),
        (camera(since_image=None, since_wanted=None), {}, WARN, Cause.NO_IMAGE, "waiting"),
        (camera(since_image=1.9), {}, OK, Cause.SEGMENTING, ""),
        (camera(since_image=2.1), {}, WARN, Cause.NO_IMAGE, "the last came 2 s ago"),
        (camera(since_image=10.1), {}, ERROR, Cause.NO_IMAGE, "the last came 10 s ago"),
        (camera(since_image=10.1, since_wanted=3.0), {}, WARN, Cause.NO_IMAGE, ""),
        (camera(since_image=5.9, period=2.0), {}, OK, Cause.SEGMENTING, ""),
        (camera(since_image=6.1, period=2.0), {}, WARN, Cause.NO_IMAGE, "every 2 s"),
        (camera(since_image=4.9, period=None), {}, OK, Cause.SEGMENTING, ""),
        (camera(since_image=5.1, period=None), {}, WARN, Cause.NO_IMAGE, ""),
        (
            camera(since_image=3.0, publishers=0, sources="1 publisher of another type"),
            {},
            WARN,
            Cause.NO_PUBLISHER,
            "1 publisher of another type",
        ),
        # No result, whatever the cause.
        (camera(BLIND, since_result=1.9), {}, OK, Cause.SEGMENTING, ""),
        (BLIND, {}, WARN, Cause.STARVED, "no result for 3 s, 89 frames replaced"),
        (camera(BLIND, since_result=11.0), {}, ERROR, Cause.STARVED, "no result for 11 s"),
        (camera(BLIND, since_result=None), {}, ERROR, Cause.STARVED, "no result for 50 s"),
        (camera(BLIND, since_result=None, since_wanted=1.0), {}, OK, Cause.SEGMENTING, ""),
        (camera(BLIND, since_result=None, since_active=1.0), {}, OK, Cause.SEGMENTING, ""),
        # What was lost is not what came and has no answer.
        (camera(BLIND, unanswered={"received": 9, "replaced": 8, "lost": 5}), {}, *STARVED, "8"),
        (BLIND, {"several": False}, WARN, Cause.NO_RESULT, "90 frames came"),
        (camera(BLIND, unanswered={"received": 5}), {}, WARN, Cause.NO_RESULT, "5 frames came"),
        (camera(BLIND, unanswered={}), {}, OK, Cause.SEGMENTING, ""),
        (
            BLIND,
            {"working": Activity("segmenting a batch of 1", 2.9)},
            WARN,
            Cause.STUCK,
            "segmenting a batch of 1 for 3 s",
        ),
        (
            camera(BLIND, since_result=23.0),
            {"working": Activity("publishing results", 22.0)},
            ERROR,
            Cause.STUCK,
            "no result for 23 s, 89 frames replaced: publishing results for 22 s",
        ),
        (
            BLIND,
            {"working": Activity("compiling for a batch of 2", 2.9, compiling=True)},
            WARN,
            Cause.COMPILING,
            "compiling",
        ),
        (BLIND, {"working": Activity("segmenting a batch of 1", 0.1)}, WARN, Cause.STARVED, ""),
        # What takes long by design is not a fault.
        (BLIND, {"batch_seconds": 1.1}, OK, Cause.SEGMENTING, ""),
        (BLIND, {"batch_period": 2.0}, OK, Cause.SEGMENTING, ""),
        # Nothing but faults.
        (
            camera(BLIND, unanswered={"received": 9, "failed": 9}, reasons={"failed": "Error: no"}),
            {},
            ERROR,
            Cause.SEGMENTATION_FAILS,
            "no result for 3 s: 9 frames could not be segmented: Error: no",
        ),
        (
            camera(BLIND, unanswered={"received": 9, "raised": 9}),
            {},
            ERROR,
            Cause.RECEIVING_FAILS,
            "9 frames failed when they were received",
        ),
        (
            camera(BLIND, unanswered={"received": 9, "unpublished": 9}),
            {},
            ERROR,
            Cause.PUBLISHING_FAILS,
            "9 frames could not be published",
        ),
        (
            camera(BLIND, unanswered={"received": 9, "bad": 9}),
            {},
            WARN,
            Cause.MALFORMED,
            "no result for 3 s: 9 malformed frames",
        ),
        (
            camera(BLIND, since_result=11.0, unanswered={"received": 9, "too_old": 9}),
            {},
            ERROR,
            Cause.TOO_OLD,
            "9 frames too old",
        ),
        # Some faults among good frames.
        (camera(recent={"failed": 1}), {}, ERROR, Cause.SEGMENTATION_FAILS, "1 frames"),
        (camera(recent={"raised": 1}), {}, ERROR, Cause.RECEIVING_FAILS, ""),
        (camera(recent={"unpublished": 1}), {}, ERROR, Cause.PUBLISHING_FAILS, ""),
        (camera(recent={"lost": 7, "too_old": 1}), {}, WARN, Cause.LOST, "7 frames lost in DDS, 1"),
        (camera(recent={"bad": 2}), {}, WARN, Cause.MALFORMED, "2 malformed frames"),
        # The node's own state comes first.
        (SEEING, {"lifecycle": "inactive"}, OK, Cause.NOT_ACTIVE, "node is inactive"),
        (
            SEEING,
            {"lifecycle": "inactive", "wanted": True},
            WARN,
            Cause.NOT_ACTIVE,
            "inactive, and somebody subscribes",
        ),
        (SEEING, {"problem": "not activated: x"}, ERROR, Cause.TRANSITION_FAILED, "x"),
        (
            SEEING,
            {"lifecycle": "configuring", "loading": Activity("compiling for 2", 31.6)},
            WARN,
            Cause.LOADING,
            "configuring: compiling for 2, for 32 s",
        ),
    ],
)
def test_a_camera(seen, node, level, cause, words):
    verdict = judge_camera(seen, dataclasses.replace(ACTIVE, **node))
    assert (verdict.level, verdict.cause) == (level, cause), verdict.text
    assert words in verdict.text


def test_the_node_is_judged_by_the_worst_of_its_cameras():
    good = judge_camera(SEEING, ACTIVE)
    idle = judge_camera(camera(since_wanted=None), ACTIVE)
    blind = judge_camera(camera(since_image=20.0), ACTIVE)
    assert judge_node(ACTIVE, {"a": idle, "b": good}) == good
    assert judge_node(ACTIVE, {"a": idle, "b": idle}) == idle
    assert judge_node(ACTIVE, {"": blind}) == blind
    whole = judge_node(ACTIVE, {"a": good, "b": blind, "c": blind})
    assert whole == (ERROR, Cause.NO_IMAGE, f"b: {blind.text}; c: {blind.text}")


times = st.floats(0, 1000)
counts = st.dictionaries(
    st.sampled_from(("replaced", "bad", "failed", "raised", "unpublished", "too_old", "lost")),
    st.integers(0, 100),
)


@given(
    since_active=times,
    since_wanted=times,
    since_image=st.none() | times,
    since_result=st.none() | times,
    period=st.none() | st.floats(0.001, 0.6),
    unanswered=counts,
    working=st.none() | st.builds(Activity, st.just("segmenting"), times, st.booleans()),
)
def test_a_camera_is_never_ok_for_longer_than_it_may_be_blind(working, unanswered, **seen):
    seen = CameraHealth("/image", unanswered=unanswered | {"received": 101}, **seen)
    node = dataclasses.replace(ACTIVE, working=working)
    verdict = judge_camera(seen, node)
    blind = min(
        seen.since_active,
        seen.since_wanted,
        *(moment for moment in (seen.since_result,) if moment is not None),
    )
    silent = seen.since_active if seen.since_image is None else seen.since_image
    if blind > 2.0 or silent > image_patience(seen.period):
        assert verdict.level > OK
    if blind > LONGEST_PATIENCE:
        assert verdict.level == ERROR


def test_a_slow_camera_that_sends_regularly_is_always_ok():
    for period in (1.0, 1 / 0.9, 1 / 0.45, 10.0, 100.0):
        for since in (0.01, 0.5, 0.99, 1.2):
            seen = camera(
                period=period,
                since_image=since * period,
                since_result=since * period,
                since_active=1e6,
                since_wanted=1e6,
                unanswered={},
            )
            assert judge_camera(seen, ACTIVE).level == OK


def test_every_cause_has_its_remedy_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "diagnostics.md").read_text()
    for cause in Cause:
        assert f"| `{cause.value}` |" in text, cause


def test_a_node_without_cameras_is_ok():
    assert judge_node(ACTIVE, {}) == Verdict(OK, Cause.IDLE, "no camera")
