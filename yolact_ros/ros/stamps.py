# SPDX-License-Identifier: Apache-2.0
"""How old an image is by its stamp, and whether that can be believed; no ROS."""

from __future__ import annotations

from typing import NamedTuple

EARLIEST = 946_684_800
"""Seconds from 1970 to 2000: clocks that show less count from when their machine was started."""
LARGEST_AGE = 60.0
"""Seconds beyond which an age tells of two clocks, or of a recording, not of a delay."""
LARGEST_LEAD = 0.1
"""Seconds that a stamp may lie in the future, because clocks of two machines differ a little."""


class StampAge(NamedTuple):
    """What a stamp says.

    Attributes:
        seconds: The age; None where the stamp or the clock is not set.
        trouble: Kind of what is wrong with it; empty: the age can be believed.
        text: The same as a sentence.
    """

    seconds: float | None
    trouble: str = ""
    text: str = ""


def stamp_age(sec: int, nanosec: int, now: int) -> StampAge:
    """Compare a stamp with the node's clock.

    Args:
        sec: `builtin_interfaces/Time.sec`, which may be negative.
        nanosec: `builtin_interfaces/Time.nanosec`.
        now: The node's clock, ns; 0 in a simulation before the first message on /clock.
    """
    if now == 0:
        return StampAge(None, "no clock", "use_sim_time is true, but nothing came on /clock yet")
    if sec == 0 and nanosec == 0:
        return StampAge(None, "zero", "the stamps of its images are zero")
    if sec < 0:
        return StampAge(None, "negative", f"the stamps of its images are negative ({sec} s)")
    seconds = (now - sec * 10**9 - nanosec) * 1e-9
    if sec < EARLIEST <= now * 1e-9:
        text = (
            f"the stamps of its images ({sec} s) count from the start of a machine, not from 1970"
        )
        return StampAge(seconds, "from boot", text)
    if seconds < -LARGEST_LEAD:
        text = f"the stamps of its images lie in the future, by {-seconds:.1f} s"
        return StampAge(seconds, "future", text)
    if seconds > LARGEST_AGE:
        text = f"the stamps of its images are {seconds:.0f} s old"
        return StampAge(seconds, "past", text)
    return StampAge(seconds)
