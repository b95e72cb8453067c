# SPDX-License-Identifier: Apache-2.0
"""Level, cause and words for every state, from times and counters alone."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.ros.counters import SPACE_OUTCOMES
from yolact_ros.ros.health import (
    LONGEST_PATIENCE,
    Activity,
    CameraHealth,
    Cause,
    Level,
    NodeHealth,
    SpaceHealth,
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


MEASURING = SpaceHealth(
    topic="/depth",
    info_topic="/camera_info",
    since_wanted=50.0,
    since_depth=0.02,
    since_measured=0.1,
    period=1 / 30,
    delay=0.005,
    recent={"depth_received": 30, "measured": 15},
)
WITHOUT_OBJECTS = dataclasses.replace(
    MEASURING, since_measured=3.0, recent={"depth_received": 30, "unmatched": 15}
)

STARVED = (WARN, Cause.STARVED)


def camera(base=SEEING, **changed):
    return dataclasses.replace(base, **changed)


times = st.floats(0, 1000)
counts = st.dictionaries(
    st.sampled_from(("replaced", "bad", "failed", "raised", "unpublished", "too_old", "lost")),
    st.integers(0, 100),
)


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
        # A camera that pauses hides nothing that is worse.
        (
            camera(BLIND, since_image=3.0, since_result=11.0),
            {},
            ERROR,
            Cause.STARVED,
            "no result for 11 s",
        ),
        (camera(since_image=3.0, recent={"failed": 1}), {}, ERROR, Cause.SEGMENTATION_FAILS, ""),
        (camera(BLIND, since_image=11.0, since_result=12.0), {}, ERROR, Cause.NO_IMAGE, ""),
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


def depth(base=MEASURING, recent=(), **changed):
    return dataclasses.replace(base, **changed, recent=base.recent | dict(recent))


def faulty(counter, reason="", **changed):
    return depth(
        WITHOUT_OBJECTS,
        recent={"unmatched": 0, counter: 7},
        reasons={counter: reason} if reason else {},
        **changed,
    )


FRAME, SIZE = Cause.DEPTH_FRAME, Cause.DEPTH_SIZE
SLOW = {"period": 0.2, "recent": {"depth_received": 5, "measured": 5, "unmatched": 10}}


@pytest.mark.parametrize(
    "space, level, cause, words",
    [
        (MEASURING, OK, Cause.SEGMENTING, "segmenting"),
        # No depth, or no more.
        (depth(since_depth=None), WARN, Cause.NO_DEPTH, "on /depth: none came yet; 1 publisher"),
        (depth(since_depth=None, since_wanted=1.9), OK, Cause.SEGMENTING, ""),
        (depth(since_depth=900.0, since_wanted=3.0), WARN, Cause.NO_DEPTH, "none came yet"),
        (depth(since_depth=1.9, since_measured=1.9), OK, Cause.SEGMENTING, ""),
        (depth(since_depth=2.1, since_measured=2.1), WARN, Cause.DEPTH_STOPPED, "came 2 s ago"),
        (
            depth(since_depth=11.0, since_measured=11.0, sources="nobody publishes there"),
            ERROR,
            Cause.DEPTH_STOPPED,
            "no objects for 11 s: waiting for depth on /depth: the last came 11 s ago; nobody",
        ),
        (depth(since_depth=5.9, period=2.0), OK, Cause.DEPTH_SLOW, ""),
        (depth(since_depth=6.1, period=2.0), WARN, Cause.DEPTH_STOPPED, ""),
        # What has only just stopped is not called unmatched before that.
        (depth(WITHOUT_OBJECTS, since_depth=0.9, since_measured=0.9), OK, Cause.SEGMENTING, ""),
        # Of another moment.
        (
            depth(WITHOUT_OBJECTS, reasons={"unmatched": "the nearest is stamped 50 ms later"}),
            WARN,
            Cause.DEPTH_UNMATCHED,
            "no objects for 3 s: 15 results without depth of their moment: the nearest is stamped",
        ),
        (depth(WITHOUT_OBJECTS, since_measured=None), ERROR, Cause.DEPTH_UNMATCHED, "for 50 s"),
        (depth(WITHOUT_OBJECTS, since_wanted=1.0), OK, Cause.SEGMENTING, ""),
        (depth(recent={"unmatched": 5}), OK, Cause.SEGMENTING, ""),
        (depth(recent={"unmatched": 6}), WARN, Cause.DEPTH_UNMATCHED, "6 results without"),
        # Late.
        (depth(delay=0.05), OK, Cause.DEPTH_LATE, "segmenting; depth comes 50 ms after its image"),
        (depth(delay=-0.05), OK, Cause.SEGMENTING, ""),
        (
            depth(
                WITHOUT_OBJECTS,
                recent={"depth_late": 8},
                reasons={"depth_late": "350 ms after its image"},
            ),
            WARN,
            Cause.DEPTH_LATE,
            "the depth of 15 results came too late: 350 ms",
        ),
        # At another rate, in another order.
        (depth(**SLOW), OK, Cause.DEPTH_SLOW, "depth comes every 0.2 s, images every 0.033 s"),
        (depth(**SLOW, since_measured=2.1), WARN, Cause.DEPTH_UNMATCHED, ""),
        (
            depth(recent={"depth_disordered": 15}),
            OK,
            Cause.DEPTH_DISORDERED,
            "15 of 30 depth images came after one of a later moment",
        ),
        # Useless, each in its own way, at once.
        (faulty("other_frame", "got 'depth'"), WARN, FRAME, "7 depth images of another frame: got"),
        (faulty("other_frame", since_measured=0.5), WARN, FRAME, "7 depth images of another"),
        (faulty("other_size"), WARN, SIZE, "no objects for 3 s: 7 depth images of another size"),
        (faulty("other_size", since_measured=11.0), ERROR, SIZE, "no objects for 11 s"),
        (faulty("depth_bad"), WARN, Cause.DEPTH_MALFORMED, "7 malformed depth images"),
        (faulty("depth_zero"), WARN, Cause.DEPTH_ZERO, "7 depth images of nothing but zeros"),
        (faulty("depth_nan"), WARN, Cause.DEPTH_NAN, "7 depth images without one usable number"),
        (faulty("uncalibrated"), WARN, Cause.CAMERA_INFO, "camera_info cannot be used"),
        (faulty("untransformed"), WARN, Cause.NO_TRANSFORM, "7 results without a transform"),
        (faulty("unmeasured"), ERROR, Cause.MEASURING_FAILS, "7 results could not be measured"),
        (faulty("depth_lost"), WARN, Cause.DEPTH_LOST, "7 depth images lost in DDS"),
        # The most frequent is named.
        (depth(recent={"depth_zero": 3, "depth_nan": 4}), WARN, Cause.DEPTH_NAN, "4 depth images"),
        # No calibration.
        (
            depth(calibrated=False, info_sources="nobody publishes there"),
            WARN,
            Cause.NO_CAMERA_INFO,
            "waiting for camera_info on /camera_info: none came yet; nobody",
        ),
        (depth(calibrated=False, since_wanted=1.0), OK, Cause.SEGMENTING, ""),
        # None of these.
        (
            depth(since_measured=3.0, unanswered={"processed": 40}),
            WARN,
            Cause.NO_OBJECTS,
            "no objects for 3 s: though 40 results went out",
        ),
        (depth(since_measured=3.0), OK, Cause.SEGMENTING, ""),
    ],
)
def test_depth(space, level, cause, words):
    verdict = judge_camera(camera(space=space), ACTIVE)
    assert (verdict.level, verdict.cause) == (level, cause), verdict.text
    assert words in verdict.text


def test_trouble_with_images_comes_before_that_with_depth():
    stopped = depth(since_depth=5.0, since_measured=5.0)
    assert judge_camera(camera(since_image=5.0, space=stopped), ACTIVE).cause == Cause.NO_IMAGE
    assert judge_camera(camera(BLIND, space=stopped), ACTIVE).cause == Cause.STARVED
    # Of two warnings that of the images, but an error first.
    bad = camera(recent={"bad": 2}, space=stopped)
    assert judge_camera(bad, ACTIVE).cause == Cause.MALFORMED
    worse = dataclasses.replace(bad, space=depth(since_depth=20.0, since_measured=20.0))
    assert judge_camera(worse, ACTIVE)[:2] == (ERROR, Cause.DEPTH_STOPPED)


@given(
    paused=times,
    since_result=st.none() | times,
    unanswered=counts,
    recent=counts,
    space=st.sampled_from(
        [None, MEASURING, WITHOUT_OBJECTS, depth(since_depth=20.0, since_measured=20.0)]
    ),
)
def test_a_pause_of_the_camera_hides_nothing(paused, **seen):
    seen = camera(**seen)
    during = judge_camera(dataclasses.replace(seen, since_image=paused), ACTIVE)
    assert during.level >= judge_camera(seen, ACTIVE).level, during.text


def test_every_fault_of_depth_has_a_cause():
    faults = {*SPACE_OUTCOMES} - {"measured", "overtaken", "not_wanted", "space_stopped"}
    silent = {"unmatched", "no_camera_info"}  # judged by time
    for counter in faults - silent:
        assert judge_camera(camera(space=faulty(counter)), ACTIVE).level > OK, counter


def test_the_node_is_judged_by_the_worst_of_its_cameras():
    good = judge_camera(SEEING, ACTIVE)
    idle = judge_camera(camera(since_wanted=None), ACTIVE)
    blind = judge_camera(camera(since_image=20.0), ACTIVE)
    assert judge_node(ACTIVE, {"a": idle, "b": good}) == good
    assert judge_node(ACTIVE, {"a": idle, "b": idle}) == idle
    assert judge_node(ACTIVE, {"": blind}) == blind
    whole = judge_node(ACTIVE, {"a": good, "b": blind, "c": blind})
    assert whole == (ERROR, Cause.NO_IMAGE, f"b: {blind.text}; c: {blind.text}")


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
