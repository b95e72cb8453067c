# SPDX-License-Identifier: Apache-2.0
"""The newest message of each camera, for whoever asks."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class NewestFrame:
    """A message of a camera.

    Attributes:
        message: A sensor_msgs/Image or CompressedImage.
        arrived: `time.perf_counter()` when it came.
    """

    message: Any
    arrived: float


class NewestFrames:
    """Keeps the newest message of each camera; every method may be called from every thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frames: dict[str, NewestFrame] = {}

    def put(self, camera: str, message: Any) -> None:
        """Take a message that came now."""
        with self._changed:
            self._frames[camera] = NewestFrame(message, time.perf_counter())
            self._changed.notify_all()

    def wait(self, camera: str, *, after: float, timeout: float) -> NewestFrame | None:
        """Return the newest message of a camera; None: none came in time.

        Args:
            camera: Its name.
            after: `time.perf_counter()` after which it must have come.
            timeout: Longest wait, s.
        """

        def found() -> NewestFrame | None:
            frame = self._frames.get(camera)
            return frame if frame is not None and frame.arrived > after else None

        with self._changed:
            return self._changed.wait_for(found, timeout) or None

    def clear(self) -> None:
        """Forget all messages."""
        with self._changed:
            self._frames.clear()
