# SPDX-License-Identifier: Apache-2.0
"""Video files as cameras, phones and accidents make them."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np


def write_video(
    path: Path, frames: Iterable[np.ndarray], *, fps: float = 10.0, codec: str | None = None
) -> Path:
    """Write (H, W, 3) uint8 BGR frames of one size; the codec is one of the suffix's."""
    writer = None
    code = codec or {".avi": "MJPG", ".webm": "VP80", ".mkv": "mp4v"}.get(path.suffix, "mp4v")
    for frame in frames:
        if writer is None:
            fourcc = cv2.VideoWriter_fourcc(*code)
            writer = cv2.VideoWriter(str(path), fourcc, fps, frame.shape[1::-1])
            assert writer.isOpened()
        writer.write(frame)
    writer.release()
    return path


def patched(path: Path, old: bytes, new: bytes) -> Path:
    """Replace bytes of a file, all of them, by as many others."""
    data = path.read_bytes()
    assert old in data and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def turned(path: Path, degrees: int) -> Path:
    """Make an MP4 file one that a phone filmed turned: players show it turned clockwise."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]

    def matrix(cosine: int, sine: int) -> bytes:
        rows = ((cosine, sine, 0), (-sine, cosine, 0))
        fixed = [value << 16 for row in rows for value in row] + [0, 0, 1 << 30]
        return b"".join(value.to_bytes(4, "big", signed=True) for value in fixed)

    head, track = path.read_bytes().split(b"tkhd")
    path.write_bytes(head + b"tkhd" + track.replace(matrix(1, 0), matrix(cosine, sine), 1))
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path
