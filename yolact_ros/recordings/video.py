# SPDX-License-Identifier: Apache-2.0
"""Read a video file frame by frame, and say how much of it could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
     ".ogv", ".ts", ".webm", ".wmv"}
)  # fmt: skip
"""Suffixes of the files that a folder is searched for."""

_COUNTED = frozenset({".avi", ".m4v", ".mov", ".mp4"})
"""Their headers count the frames; others state a duration, at best."""

_USUAL_FPS = 30.0


class Video:
    """A video file to iterate over once. Close it after use (`contextlib.closing`).

    Args:
        path: The file.

    Attributes:
        path: The file.
        stated_fps: Frames per second as stated by the file, whatever that is.
        fps: The same; 30 if what the file states is none.
        frames: Number of frames as stated by the file; 0 if it does not say.
        read: Number of frames that were read.

    Raises:
        InputError: OpenCV cannot open it.
    """

    def __init__(self, path: Path) -> None:
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise InputError(
                f"expected a video that OpenCV can read, got {path}: an unfinished or damaged "
                "file, or no video"
            )
        # upright, as players show it, what a phone filmed sideways
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        self.path = path
        self.stated_fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        # a timer's rate in the place of the frames' is 10,000 and more; NaN fails, too
        self.fps = self.stated_fps if 0.01 <= self.stated_fps <= 1000 else _USUAL_FPS
        self.frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.read = 0
        self._end = 0.0

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield (H, W, 3) uint8 BGR frames, upright."""
        while (frame := self._capture.read()[1]) is not None:
            self.read += 1
            self._end = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 + 1 / self.fps
            yield frame

    def complaint(self) -> str | None:
        """After the last frame: say what could not be read; None if all was."""
        if not self.read:
            return (
                f"{self.path}: expected frames that OpenCV can decode, got none (codec "
                f"{self._codec()}); another program may: ffmpeg -i {self.path.name} -c:v libx264 "
                f"{self.path.stem}.h264.mp4"
            )
        if self.path.suffix.lower() in _COUNTED:
            cut, about = self.read < self.frames - 1, ""
        else:
            duration = self.frames / self.fps if self.fps == self.stated_fps else 0.0
            cut, about = duration - self._end > max(0.25, 0.05 * duration), "about "
        return (
            f"{self.path}: {self.read} of {about}{self.frames} frames could be read: the file is "
            "cut or damaged"
            if cut
            else None
        )

    def _codec(self) -> str:
        letters = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        return letters.decode("ascii", "replace").strip("\0 ") or "unknown"

    def close(self) -> None:
        """Release the file."""
        self._capture.release()
