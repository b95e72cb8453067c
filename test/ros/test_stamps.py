# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.ros.stamps import LARGEST_AGE, LARGEST_LEAD, stamp_age

NOW = 1_800_000_000 * 10**9  # in 2027


@pytest.mark.parametrize(
    "sec, nanosec, now, seconds, trouble",
    [
        (1_799_999_999, 750_000_000, NOW, 0.25, ""),
        (1_800_000_000, 50_000_000, NOW, -0.05, ""),  # two machines' clocks differ a little
        (1_800_000_001, 0, NOW, -1.0, "future"),  # or time has jumped back
        (1_799_996_400, 0, NOW, 3600.0, "past"),
        (0, 0, NOW, None, "zero"),
        (-1, 5, NOW, None, "negative"),
        (-(2**31), 0, NOW, None, "negative"),
        (812, 0, NOW, 1_799_999_188.0, "from boot"),
        (812, 0, 0, None, "no clock"),  # a simulation before its first /clock
        (0, 0, 0, None, "no clock"),
        (812, 0, 812_500_000_000, 0.5, ""),  # a simulation that begins at 0
        (2**31 - 1, 0, NOW, NOW * 1e-9 - (2**31 - 1), "future"),
    ],
)
def test_ages(sec, nanosec, now, seconds, trouble):
    age = stamp_age(sec, nanosec, now)
    assert age.trouble == trouble and bool(age.text) == bool(trouble)
    assert age.seconds == (None if seconds is None else pytest.approx(seconds))


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 10**9 - 1), st.integers(0, 2**62))
def test_no_stamp_raises_and_what_is_believed_is_plausible(sec, nanosec, now):
    age = stamp_age(sec, nanosec, now)
    if not age.trouble:
        assert -LARGEST_LEAD <= age.seconds <= LARGEST_AGE
