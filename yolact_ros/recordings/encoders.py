# SPDX-License-Identifier: Apache-2.0
"""The libraries that encode video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError

Size = tuple[int, int]
"""(height, width) in pixels."""

VideoFrame = npt.NDArray[np.uint8]
"""(H, W, 3) BGR."""


class Encoder(Protocol):
    """A video file that is being written."""

    def write(self, frame: VideoFrame) -> None:
        """Append a frame of the file's size."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


class OpenCVEncoder:
    """Encodes by OpenCV, which does not say when it cannot write.

    Args:
        code: Four letters of a codec.
        path: The file.
        fps: Frames per second.
        size: Of all frames; of an odd number of pixels one is left out.

    Raises:
        InputError: This build of OpenCV does not have the codec, or not for such a video.
    """

    def __init__(self, code: str, path: Path, fps: float, size: Size) -> None:
        fourcc = cv2.VideoWriter_fourcc(*code)
        self._writer = cv2.VideoWriter(str(path), fourcc, fps, size[::-1])
        if not self._writer.isOpened():
            raise InputError(f"expected OpenCV to have the codec {code}")
        self.write = self._writer.write
        self.close = self._writer.release


class PyAVEncoder:
    """Encodes H.264 by PyAV.

    Args:
        path: The file.
        fps: Frames per second.
        size: Of all frames; of an odd number of pixels one is left out.

    Raises:
        ImportError: PyAV is not installed.
        ValueError: It does not have the codec.
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, fps: float, size: Size) -> None:
        import av  # an extra

        self._container = av.open(str(path), "w")
        rate = Fraction(fps).limit_denominator(65535)
        options = {"crf": "23", "preset": "veryfast"}
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        self._stream.height, self._stream.width = (side // 2 * 2 for side in size)
        self._stream.pix_fmt = "yuv420p"  # others play in few browsers
        self._frame = av.VideoFrame

    def write(self, frame: VideoFrame) -> None:
        """Append a frame."""
        even = np.ascontiguousarray(frame[: self._stream.height, : self._stream.width])
        self._container.mux(self._stream.encode(self._frame.from_ndarray(even, format="bgr24")))

    def close(self) -> None:
        """Complete the file."""
        self._container.mux(self._stream.encode())
        self._container.close()
