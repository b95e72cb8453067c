# SPDX-License-Identifier: Apache-2.0
"""What a camera sends in a storm beside its images."""

from __future__ import annotations

import copy
import struct
import zlib
from array import array
from typing import Any

_INT32 = 2**31 - 1
_HUGE = 30_000


def rubbish(kind: str, good: Any) -> Any:
    """Make a message that no node can use as it stands.

    Args:
        kind: One of `plan.RUBBISH`, but not "another type".
        good: A good message of the same camera; it stays as it is.
    """
    bad = copy.deepcopy(good)
    _CHANGES[kind](bad)
    return bad


def _huge_png() -> bytes:
    """A PNG of few bytes whose header announces gigabytes."""
    header = struct.pack(">IIBBBBB", _HUGE, _HUGE, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


def _set(message: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(message, name, value)


def _thin(message: Any) -> None:
    width = 100_000
    _set(
        message, width=width, height=1, step=width, encoding="mono8", data=array("B", bytes(width))
    )


_CHANGES = {
    "short data": lambda message: _set(message, data=message.data[: len(message.data) // 2]),
    "long data": lambda message: _set(message, data=message.data + array("B", bytes(1000))),
    "short step": lambda message: _set(message, step=message.step // 2),
    "unknown encoding": lambda message: _set(message, encoding="no such encoding"),
    "no pixels": lambda message: _set(message, width=0, height=0, step=0, data=array("B")),
    "huge size": lambda message: _set(message, width=_INT32, height=_INT32, step=_INT32),
    "thin picture": _thin,
    "no picture": lambda message: _set(message, data=array("B", b"no picture" * 100)),
    "half a picture": lambda message: _set(message, data=message.data[: len(message.data) // 2]),
    "huge picture": lambda message: _set(message, data=array("B", _huge_png())),
    "depth format": lambda message: _set(
        message, format="16UC1; compressedDepth png", data=array("B", bytes(12)) + message.data
    ),
    "negative stamp": lambda message: _set(message.header.stamp, sec=-5),
    "far stamp": lambda message: _set(message.header.stamp, sec=_INT32),
}
