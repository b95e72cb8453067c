# SPDX-License-Identifier: Apache-2.0
"""One camera as the node sees it: a name, counters and a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from yolact_ros.recordings.images.samples import SampleBits
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.tuning import ImageRoom


@dataclass
class CameraStream:
    """A camera's name, counters and log.

    Attributes:
        name: As in the parameter `cameras`; empty for the only camera.
        counters: This camera's counts and times.
        log: This camera's log, so that a camera that sends rubbish hides no other's lines.
        stamps: What is wrong with the stamp of its last image, as a sentence; empty: nothing.
        sample_bits: How many bits its 16-bit samples use.
        room: Follows the sizes of images and depth images, of all cameras together.
    """

    name: str
    counters: Counters
    log: ThrottledLog
    stamps: str = ""
    sample_bits: SampleBits = field(default_factory=SampleBits)
    room: ImageRoom = field(default_factory=ImageRoom)

    @property
    def prefix(self) -> str:
        """Prefix of the names of its topics."""
        return f"{self.name}/" if self.name else ""


def make_streams(
    names: tuple[str, ...], counters: Counters, logger: Any
) -> tuple[CameraStream, ...]:
    """Make a stream per name, or the one without a name.

    Args:
        names: The parameter `cameras`.
        counters: Those of the whole node, which the only camera shares.
        logger: The node's logger.
    """
    if not names:
        return (CameraStream("", counters, ThrottledLog(logger)),)
    room = ImageRoom()
    return tuple(
        CameraStream(
            name,
            Counters(total=counters),
            ThrottledLog(logger, prefix=f"{name}: "),
            room=room,
        )
        for name in names
    )
