# SPDX-License-Identifier: Apache-2.0
"""What the parts of the node know of one camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yolact_ros.ros.counters import Counters
from yolact_ros.ros.logs import ThrottledLog


@dataclass(frozen=True)
class CameraStream:
    """A camera's name, and what is counted and logged of it.

    Attributes:
        name: As in the parameter `cameras`; empty: the only camera of a node without that.
        counters: Its own counts and times.
        log: Its own, so that a camera that sends rubbish hides no other's lines.
    """

    name: str
    counters: Counters
    log: ThrottledLog

    @property
    def prefix(self) -> str:
        """What its topics' names begin with."""
        return f"{self.name}/" if self.name else ""


def make_streams(
    names: tuple[str, ...], counters: Counters, logger: Any
) -> tuple[CameraStream, ...]:
    """The cameras of those names, or the one without a name.

    Args:
        names: Of the parameter `cameras`.
        counters: Of the whole node; that of the only camera is the same.
        logger: The node's.
    """
    if not names:
        return (CameraStream("", counters, ThrottledLog(logger)),)
    return tuple(
        CameraStream(name, Counters(total=counters), ThrottledLog(logger, prefix=f"{name}: "))
        for name in names
    )
