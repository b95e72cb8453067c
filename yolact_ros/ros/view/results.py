# SPDX-License-Identifier: Apache-2.0
"""The newest instances of a camera, with the objects of the same image where they come."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from yolact_ros.msg import InstanceArray, Object, ObjectArray
from yolact_ros.recordings.matching import nanoseconds

_KEPT = 32
"""Results that wait for their objects."""
_SPACE_PATIENCE = 1.0
"""Seconds after the last objects from which on results are shown without."""


class Results:
    """Rows for the page: of the newest image with objects, else of the newest at all.

    Args:
        clock: Returns monotonic time, s.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rows: dict[int, list[dict[str, Any]]] = {}
        self._measured_at = -math.inf

    def take_instances(self, message: InstanceArray) -> dict[str, Any] | None:
        """Return what to show now; None: go on showing what there is."""
        rows = [
            {
                "class": instance.class_name,
                "score": _number(instance.score) or 0.0,
                "track": instance.track_id,
                "position": None,
                "size": None,
                "speed": None,
            }
            for instance in message.instances
        ]
        self._rows[nanoseconds(message.header.stamp)] = rows
        while len(self._rows) > _KEPT:
            del self._rows[next(iter(self._rows))]
        if self._clock() - self._measured_at < _SPACE_PATIENCE:
            return None
        return {"rows": rows, "measured": False, "frame": ""}

    def take_objects(self, message: ObjectArray) -> dict[str, Any] | None:
        """Return what to show now; None: the instances have not come."""
        rows = self._rows.pop(nanoseconds(message.header.stamp), None)
        if rows is None:
            return None
        for each in message.objects:
            if 1 <= each.instance <= len(rows):
                rows[each.instance - 1] |= _measured(each)
        self._measured_at = self._clock()
        return {"rows": rows, "measured": True, "frame": message.header.frame_id}


def _measured(each: Object) -> dict[str, Any]:
    place, size, velocity = each.pose.pose.position, each.size, each.velocity.twist.linear
    return {
        "position": _numbers(place.x, place.y, place.z),
        "size": _numbers(size.x, size.y, size.z),
        "speed": _number(math.hypot(velocity.x, velocity.y, velocity.z)),
    }


def _numbers(*values: float) -> list[float] | None:
    """The numbers; None, which JSON has, if one of them is none."""
    return list(values) if all(math.isfinite(value) for value in values) else None


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
