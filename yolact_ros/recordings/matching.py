# SPDX-License-Identifier: Apache-2.0
"""Which depth image belongs to which image, by their stamps; no ROS, no clock."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Message = TypeVar("Message")

RING = 8
"""Depth images that are kept for images that come after them, at most, and stamps that are
remembered of images whose depth did not come in time."""


def nanoseconds(stamp: Any) -> int:
    """Return a `builtin_interfaces/Time` as one number, ns."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


@dataclass(frozen=True)
class Match(Generic[Message]):
    """A depth image that fits an image.

    Attributes:
        message: The depth image.
        arrived: When it came, s.
        skew: Its stamp less the image's, ns.
    """

    message: Message
    arrived: float
    skew: int


@dataclass(frozen=True)
class _Kept(Generic[Message]):
    """A depth image in the ring: its stamp in ns, when it came in s, and its size in bytes."""

    stamp: int
    message: Message
    arrived: float
    size: int


class DepthRequest(Generic[Message]):
    """An image that waits for its depth; give it up by forgetting it.

    Attributes:
        stamp: The image's, ns.
        arrived: When it came, s.
        match: The depth image that fits best among those that came; None: none fits.
        nearest: Stamp of the nearest depth image less the image's, ns, fitting or not; None: none
            came.
    """

    def __init__(self, stamp: int, arrived: float) -> None:
        self.stamp = stamp
        self.arrived = arrived
        self.match: Match[Message] | None = None
        self.nearest: int | None = None

    def consider(self, stamp: int, message: Message, arrived: float, max_skew: int) -> None:
        """Take a depth image if it fits better than what came before."""
        skew = stamp - self.stamp
        if self.nearest is not None and abs(skew) >= abs(self.nearest):
            return
        self.nearest = skew
        if abs(skew) <= max_skew and self.stamp > 0:  # a stamp of 0 says nothing
            self.match = Match(message, arrived, skew)


class DepthMatcher(Generic[Message]):
    """Finds the depth image of each image, whichever comes first, and in whatever order.

    An image and a depth image belong together if their stamps differ by at most `max_skew`; of
    several depth images the nearest is taken. Every method may be called from every thread.

    Attributes:
        max_skew: Largest difference, ns; 0: the stamps must be equal.
        max_bytes: How much is kept for images that come later, beside the newest depth image.

    Args:
        max_skew, max_bytes: The same.
    """

    def __init__(self, max_skew: int, max_bytes: int = 1 << 62) -> None:
        self.max_skew = max_skew
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._ring: deque[_Kept[Message]] = deque(maxlen=RING)
        self._requests: weakref.WeakSet[DepthRequest[Message]] = weakref.WeakSet()
        self._given_up: deque[tuple[int, float]] = deque(maxlen=RING)
        self._last: int | None = None

    def request(self, stamp: int, arrived: float) -> DepthRequest[Message]:
        """Ask for the depth image of an image that came.

        Args:
            stamp: The image's, ns.
            arrived: When it came, s.
        """
        request: DepthRequest[Message] = DepthRequest(stamp, arrived)
        with self._lock:
            for each in self._ring:
                request.consider(each.stamp, each.message, each.arrived, self.max_skew)
            self._requests.add(request)
        return request

    def put(
        self, stamp: int, message: Message, arrived: float, size: int = 0
    ) -> tuple[bool, float | None]:
        """Take a depth image that came, of so many bytes.

        Returns:
            Whether its stamp is earlier than that of one which came before; and by how many seconds
            it came after an image that it belongs to and that was given up, or None.
        """
        with self._lock:
            disordered = self._last is not None and stamp < self._last
            self._last = stamp
            self._ring.append(_Kept(stamp, message, arrived, size))
            while len(self._ring) > 1 and sum(each.size for each in self._ring) > self.max_bytes:
                self._ring.popleft()
            for request in self._requests:
                request.consider(stamp, message, arrived, self.max_skew)
            late = [
                arrived - then for at, then in self._given_up if abs(stamp - at) <= self.max_skew
            ]
        return disordered, min(late, default=None)

    def is_settled(self, request: DepthRequest[Message]) -> bool:
        """Whether no better depth image is expected: one of the same stamp came, or a later one."""
        if request.match is None:
            return False
        with self._lock:
            last = self._last
        return request.match.skew == 0 or (last is not None and last >= request.stamp)

    def give_up(self, request: DepthRequest[Message]) -> None:
        """Note that an image was not measured, since its depth did not come in time."""
        with self._lock:
            self._given_up.append((request.stamp, request.arrived))

    def clear(self) -> None:
        """Forget everything that came."""
        with self._lock:
            self._ring.clear()
            self._given_up.clear()
            self._last = None
