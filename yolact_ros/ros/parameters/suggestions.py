# SPDX-License-Identifier: Apache-2.0
"""Names that nobody declared, each with the nearest that somebody did."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

_OF_RCLPY = ("use_sim_time", "start_type_description_service")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return "; did you mean NEAREST?", or nothing if no known name is near.

    >>> did_you_mean("score_treshold", ["score_threshold", "classes"])
    '; did you mean score_threshold?'
    >>> did_you_mean("robot_description", ["score_threshold", "classes"])
    ''
    """
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def unknown_parameters(given: Iterable[str], known: Collection[str]) -> list[str]:
    """Return one line for each parameter that was given and is not known.

    Args:
        given: Names in parameter files and on the command line.
        known: Names of the table.
    """
    return [
        f"unknown parameter {name}, which is ignored{did_you_mean(name, known)}"
        for name in given
        if name not in known and name not in _OF_RCLPY and not name.startswith("qos_overrides.")
    ]
