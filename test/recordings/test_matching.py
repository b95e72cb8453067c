# SPDX-License-Identifier: Apache-2.0
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.recordings.matching import RING, DepthMatcher

MS = 1_000_000
START = 1_000_000 * MS


@pytest.fixture
def matcher():
    return DepthMatcher(max_skew=20 * MS)


def put(matcher, at, arrived=0.0):
    return matcher.put(START + at * MS, f"depth {at}", arrived)


def request(matcher, at, arrived=0.0):
    return matcher.request(START + at * MS, arrived)


def test_depth_that_came_before_its_image(matcher):
    for at in (0, 33, 66):
        put(matcher, at, arrived=at / 1000)
    image = request(matcher, 33)
    assert image.match.message == "depth 33" and image.match.arrived == 0.033
    assert image.match.skew == 0 and matcher.is_settled(image)


def test_depth_that_comes_after_its_image(matcher):
    image = request(matcher, 33)
    assert image.match is None and image.nearest is None and not matcher.is_settled(image)
    put(matcher, 0)
    assert image.match is None and image.nearest == -33 * MS
    put(matcher, 33)
    assert image.match.message == "depth 33" and matcher.is_settled(image)
    # What comes later does not replace the better one.
    put(matcher, 34)
    assert image.match.message == "depth 33"


def test_the_nearest_is_taken_and_better_depth_is_waited_for(matcher):
    put(matcher, 14)
    image = request(matcher, 30)
    assert image.match.message == "depth 14" and not matcher.is_settled(image)
    put(matcher, 31)
    assert image.match.message == "depth 31" and image.match.skew == MS
    assert matcher.is_settled(image)


@pytest.mark.parametrize("skew, taken", [(-21, False), (-20, True), (20, True), (21, False)])
def test_the_largest_difference(matcher, skew, taken):
    image = request(matcher, 100)
    put(matcher, 100 + skew)
    assert (image.match is not None) is taken and image.nearest == skew * MS


def test_stamps_that_must_be_equal():
    matcher = DepthMatcher(max_skew=0)
    image = matcher.request(START, 0.0)
    matcher.put(START + 1, "near", 0.0)
    assert image.match is None
    matcher.put(START, "equal", 0.0)
    assert image.match.message == "equal"


def test_stamps_of_zero_match_nothing(matcher):
    matcher.put(0, "depth", 0.0)
    assert matcher.request(0, 0.0).match is None


def test_only_a_few_are_kept(matcher):
    for number in range(RING + 1):
        put(matcher, 100 * number)
    assert request(matcher, 0).match is None
    assert request(matcher, 100).match.message == "depth 100"


def test_an_image_keeps_its_depth_for_as_long_as_it_takes(matcher):
    image = request(matcher, 0)
    put(matcher, 0)
    for number in range(1, 3 * RING):
        put(matcher, 100 * number)
    assert image.match.message == "depth 0"


def test_images_that_are_forgotten_ask_for_nothing(matcher):
    image = request(matcher, 0)
    assert len(matcher._requests) == 1
    del image
    gc.collect()
    assert len(matcher._requests) == 0


def test_another_order_is_noticed(matcher):
    assert [put(matcher, at)[0] for at in (0, 66, 33, 133, 100, 166)] == [
        *(False, False, True, False, True, False)
    ]


def test_depth_that_comes_too_late_is_noticed(matcher):
    matcher.give_up(request(matcher, 0, arrived=5.0))
    assert put(matcher, 50, arrived=5.1) == (False, None)
    disordered, late = put(matcher, 5, arrived=5.35)
    assert disordered and late == pytest.approx(0.35)


def test_a_cleared_matcher_knows_nothing(matcher):
    matcher.give_up(request(matcher, 0))
    put(matcher, 30)
    matcher.clear()
    assert request(matcher, 30).match is None
    assert put(matcher, 0) == (False, None)


@given(
    events=st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=60),
    max_skew=st.integers(0, 50),
)
def test_whatever_comes_in_whatever_order_is_matched_or_left_out(events, max_skew):
    matcher = DepthMatcher(max_skew * MS)
    images = []
    for is_depth, at in events:
        if is_depth:
            put(matcher, at)
        else:
            images.append(request(matcher, at))
    for image in images:
        if image.match is not None:
            at = int(image.match.message.removeprefix("depth "))
            assert START + at * MS - image.stamp == image.match.skew == image.nearest
            assert abs(image.match.skew) <= max_skew * MS
        elif image.nearest is not None:
            assert abs(image.nearest) > max_skew * MS


def test_what_is_kept_of_large_depth_images_is_bounded(matcher):
    matcher.max_bytes = 100
    for at in (0, 33, 66):
        matcher.put(START + at * MS, f"depth {at}", 0.0, 40)
    assert request(matcher, 0).match is None  # 80 bytes are left
    assert request(matcher, 33).match.message == "depth 33"
    matcher.put(START + 99 * MS, "depth 99", 0.0, 500)
    assert request(matcher, 66).match is None
    assert request(matcher, 99).match.message == "depth 99"
