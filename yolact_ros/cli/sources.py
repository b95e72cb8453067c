# SPDX-License-Identifier: Apache-2.0
"""Find and read the images and videos that paths and folders name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.pictures import PICTURE_SUFFIXES, read_picture
from yolact_ros.errors import InputError

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})


@dataclass(frozen=True)
class Source:
    """One image or video file.

    Attributes:
        path: The file.
        name: Its path relative to the folder that was named, or its file name.
    """

    path: Path
    name: Path

    @property
    def is_video(self) -> bool:
        """Whether the file is a video, by its suffix."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES

    def read_image(self) -> npt.NDArray[np.uint8]:
        """Read the image, (H, W, 3) uint8 BGR, turned upright as its EXIF data says.

        Raises:
            InputError: It cannot be read.
        """
        return read_picture(self.path, channel_order="bgr")


def find_sources(paths: list[Path]) -> list[Source]:
    """Find the files that the paths name, in order; folders are searched with all subfolders.

    Raises:
        InputError: A path does not exist, is of an unknown kind, or nothing was found.
    """
    sources = []
    for path in paths:
        if path.is_dir():
            sources += [
                Source(file, file.relative_to(path))
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES and file.is_file()
            ]
        elif path.is_file() and path.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES:
            sources.append(Source(path, Path(path.name)))
        elif path.is_file():
            known = ", ".join(sorted(PICTURE_SUFFIXES | VIDEO_SUFFIXES))
            raise InputError(f"expected a file that ends in {known}, got {path}")
        else:
            raise InputError(f"expected an image, a video or a folder, found none at {path}")
    if not sources:
        raise InputError(f"expected images or videos in {', '.join(map(str, paths))}, found none")
    return sources


class Video:
    """A video file to iterate over frame by frame. Close it after use (`contextlib.closing`).

    Args:
        path: The file.

    Attributes:
        fps: Frames per second; 30 if the file does not say.
        frames: Number of frames as stated by the file; 0 if it does not say.

    Raises:
        InputError: OpenCV cannot open it.
    """

    def __init__(self, path: Path) -> None:
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise InputError(f"expected a video that OpenCV can read, got {path}")
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or 30.0
        self.frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield (H, W, 3) uint8 BGR frames."""
        while (frame := self._capture.read()[1]) is not None:
            yield frame

    def close(self) -> None:
        """Release the file."""
        self._capture.release()


def count_images(sources: list[Source]) -> int:
    """Count the images and all videos' frames, as far as the files say."""
    total = 0
    for source in sources:
        if source.is_video:
            try:
                with closing(Video(source.path)) as video:
                    total += video.frames
            except InputError:
                continue  # reported when it is its turn
        else:
            total += 1
    return total
