# SPDX-License-Identifier: Apache-2.0
"""Write overlays; what goes wrong there is reported, and costs no results."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from yolact_ros.datasets.writing import replacing
from yolact_ros.errors import InputError, first_line
from yolact_ros.recordings.video_writer import VideoWriter

Picture = npt.NDArray[np.uint8]

_MOST = 20


class Report:
    """What a user is told.

    Attributes:
        failures: What could not be read or written, to be told at the end.
    """

    def __init__(self) -> None:
        self.failures: list[str] = []

    def note(self, text: str) -> None:
        """Print what else is worth knowing, above a progress bar."""
        tqdm.write(f"yolact-ros: note: {text}", file=sys.stderr)

    def print_failures(self) -> None:
        """Print the failures, not thousands."""
        for failure in self.failures[:_MOST]:
            print(f"yolact-ros: {failure}", file=sys.stderr)
        if len(self.failures) > _MOST:
            print(f"yolact-ros: and {len(self.failures) - _MOST} more", file=sys.stderr)


def write_picture(path: Path, picture: Picture, report: Report) -> None:
    """Write an (H, W, 3) uint8 BGR picture of the kind that its suffix says."""
    try:
        try:
            done, data = cv2.imencode(path.suffix, picture)
        except cv2.error as error:
            raise InputError(f"{path}: cannot be written: {first_line(error)}") from error
        if not done:
            raise InputError(f"{path}: cannot be written: too large for {path.suffix}?")
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            unfinished.write_bytes(data.tobytes())
    except (InputError, OSError) as error:
        report.failures.append(f"no overlay: {error}")


class OverlayVideo:
    """The overlay of a video.

    Args:
        path: The file to write; None: none.
        fps: Frames per second.
        report: What goes wrong, or differs from what is expected, goes here.
    """

    def __init__(self, path: Path | None, fps: float, report: Report) -> None:
        self._path = path
        self._fps = fps
        self._report = report
        self._writer: VideoWriter | None = None

    def write(self, frame: Picture) -> None:
        """Append an (H, W, 3) uint8 BGR frame, unless it ended with an error before."""
        if self._path is None:
            return
        try:
            if self._writer is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                height, width = frame.shape[:2]
                self._writer = VideoWriter(self._path, self._fps, (height, width))
                for note in _notes(self._writer, self._fps):
                    self._report.note(note)
            self._writer.write(frame)
        except (InputError, OSError) as error:
            ends = f"ends after {self._writer.frames} frames" if self._writer else "is missing"
            self._report.failures.append(f"the overlay {self._path} {ends}: {error}")
            self._path = None
            self.close()

    def close(self) -> None:
        """Complete the file."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except (InputError, OSError) as error:
            self._report.failures.append(str(error))
        if writer.resized:
            self._report.note(
                f"{writer.path}: {writer.resized} frames of another size than the first, resized"
            )


def _notes(writer: VideoWriter, fps: float) -> Iterator[str]:
    path = writer.path
    if abs(writer.fps - fps) > 0.001:
        yield f"{path}: {writer.fps:g} frames a second instead of {fps:g}, for its codec"
    if writer.codec.name == "VP9":
        yield f"{path}: VP9, which takes long; `pip install av` (PyAV) brings a faster one, H.264"
    if not writer.codec.in_browsers:
        yield (
            f"{path}: browsers will not play it; `pip install av` (PyAV) brings a codec that they "
            f"play, or: ffmpeg -i {path.name} -c:v libx264 -pix_fmt yuv420p {path.stem}.h264.mp4"
        )
