# SPDX-License-Identifier: Apache-2.0
"""Write a video, in a codec that browsers play where OpenCV or PyAV has one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from yolact_ros.errors import InputError

from .encoders import Encoder, OpenCVEncoder, PyAVEncoder, Size, VideoFrame

_VP9_PIXELS = 1280 * 720
"""Of larger frames, OpenCV makes less than four a second in VP9."""

_RESERVE = 1 << 18
"""Bytes that stay free, with 32 a frame: an MP4 file gets its index when it is closed."""


class Codec(NamedTuple):
    """A way to write a video.

    Attributes:
        name: Name of the codec.
        in_browsers: Whether browsers play it.
        encoder: Begins a file of so many frames a second; raises if it cannot.
    """

    name: str
    in_browsers: bool
    encoder: Callable[[Path, float, Size], Encoder]


def codecs(size: Size) -> Iterator[Codec]:
    """Yield what may work on some machine, the best first."""
    yield Codec("H.264", True, partial(OpenCVEncoder, "avc1"))
    yield Codec("H.264", True, PyAVEncoder)
    if size[0] * size[1] <= _VP9_PIXELS:
        yield Codec("VP9", True, partial(OpenCVEncoder, "vp09"))
    yield Codec("MPEG-4", False, partial(OpenCVEncoder, "mp4v"))


class VideoWriter:
    """Writes an MP4 file, which has another name until it is complete.

    Args:
        path: The file, ending in .mp4.
        fps: Frames per second.
        size: (height, width) in pixels.

    Attributes:
        path: The file.
        unfinished: Its name until `close`.
        codec: What it is encoded with.
        fps: Frames per second as written: as near to those asked for as the codec allows.
        frames: Number of frames written.
        resized: Number of frames that had another size.

    Raises:
        InputError: There is no codec for it.
        OSError: The file cannot be made.
    """

    def __init__(self, path: Path, fps: float, size: Size) -> None:
        self.path = path
        self.unfinished = path.with_name(f"{path.stem}.unfinished.mp4")
        self.frames = self.resized = 0
        self._size = size
        self.unfinished.touch()
        for codec in codecs(size):
            for rate in dict.fromkeys((fps, round(fps, 2), max(1.0, round(fps)), 30.0)):
                if _works(codec, self.unfinished, rate, size):
                    self.codec, self.fps = codec, rate
                    self._encoder = codec.encoder(self.unfinished, rate, size)
                    return
        self.unfinished.unlink()
        raise InputError(f"expected OpenCV to write MP4 video, but it cannot write {path}")

    def write(self, frame: VideoFrame) -> None:
        """Append an (H, W, 3) uint8 BGR frame; one of another size is resized.

        Raises:
            OSError: The disk is full.
        """
        free = shutil.disk_usage(self.path.parent).free
        if 0 < free < _RESERVE + 32 * self.frames:  # some network drives say 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.unfinished))
        if frame.shape[:2] != self._size:
            frame = cv2.resize(frame, self._size[::-1], interpolation=cv2.INTER_AREA)
            self.resized += 1
        self._encoder.write(frame)
        self.frames += 1

    def close(self) -> None:
        """Complete the file and give it its name.

        Raises:
            InputError: It does not hold all frames: OpenCV does not say when it cannot write.
            OSError: The end of it cannot be written.
        """
        self._encoder.close()
        written = _count_frames(self.unfinished)
        if written != self.frames:
            raise InputError(
                f"{self.path}: expected a video of {self.frames} frames, got one of {written} in "
                f"{self.unfinished}: is the disk full?"
            )
        os.replace(self.unfinished, self.path)


def _works(codec: Codec, path: Path, fps: float, size: Size) -> bool:
    """Try a codec: some are opened and write nothing, and some hold few frame rates."""
    # whatever a library that is missing, too old or built without it raises
    with suppress(Exception):
        encoder = codec.encoder(path, fps, size)
        for _ in range(2):
            encoder.write(np.zeros((*size, 3), np.uint8))
        encoder.close()
        return _count_frames(path) == 2
    return False


def _count_frames(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return frames
