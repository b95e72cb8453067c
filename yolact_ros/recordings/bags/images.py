# SPDX-License-Identifier: Apache-2.0
"""The images of a bag, one after another, each with the depth image of its moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from yolact_ros.errors import InputError
from yolact_ros.recordings.matching import RING, DepthMatcher, DepthRequest, nanoseconds

from .reader import Bag, Record
from .topics import CameraTopics

MAX_SKEW = 20_000_000
"""Largest difference of the stamps of an image and its depth, ns: `space.max_skew` of the node."""
MAX_WAIT = 200_000_000
"""How much later the depth of an image may have been recorded, ns, as `space.max_wait`."""


@dataclass(frozen=True, eq=False)
class RecordedImage:
    """An image of a bag.

    Attributes:
        time: When it was recorded, ns.
        message: The message; None: there is none in its bytes.
        trouble: Why not.
        depth: The depth image of the same moment; None: there is none.
        camera_info: The calibration that was the newest one then; None: there is none.
    """

    time: int
    message: Any
    trouble: str = ""
    depth: Any = None
    camera_info: Any = None


@dataclass(frozen=True, eq=False)
class _Waiting:
    time: int
    message: Any
    trouble: str
    request: DepthRequest[Any]


def recorded_images(
    bag: Bag, topics: CameraTopics, start: int, stop: int, *, every: int = 1, skip: int = 0
) -> Iterator[RecordedImage]:
    """Yield the images of a topic.

    Args:
        bag: The bag.
        topics: What to read of it.
        start, stop: From when to before when, ns.
        every: Only each n-th image.
        skip: How many of these to leave out.

    Raises:
        DamagedError: The bag cannot be read any further.
    """
    matcher: DepthMatcher[Any] = DepthMatcher(MAX_SKEW)
    waiting: deque[_Waiting] = deque()
    camera_info = _first_calibration(bag, topics)
    number = -1
    for record in bag.records(topics.names, start, stop):
        if record.topic.name == topics.image:
            number += 1
            if number % every or number // every < skip:
                continue
            message, trouble = _read(bag, record)
            stamp = nanoseconds(message.header.stamp) if message else 0
            waiting.append(_Waiting(record.time, message, trouble, matcher.request(stamp, 0.0)))
        else:
            message, _ = _read(bag, record)
            if message and record.topic.name == topics.depth:
                matcher.put(nanoseconds(message.header.stamp), message, 0.0)
            elif message:
                camera_info = message
        while waiting and (
            topics.depth is None
            or matcher.is_settled(waiting[0].request)
            or record.time - waiting[0].time > MAX_WAIT
            or len(waiting) > RING
        ):
            yield _image(waiting.popleft(), camera_info)
    for each in waiting:
        yield _image(each, camera_info)


def count_images(bag: Bag, topics: CameraTopics, start: int, stop: int, every: int = 1) -> int:
    """Count what `recorded_images` yields, as far as the bag says it without being read."""
    count = bag.topics[topics.image].messages
    if (start, stop) != (bag.start, bag.end):
        count = sum(1 for _ in bag.records([topics.image], start, stop))
    return -(-count // every)


def _image(waiting: _Waiting, camera_info: Any) -> RecordedImage:
    match = waiting.request.match
    depth = match.message if match else None
    return RecordedImage(waiting.time, waiting.message, waiting.trouble, depth, camera_info)


def _first_calibration(bag: Bag, topics: CameraTopics) -> Any:
    """The calibration that the first images have, although it may have been recorded later."""
    if topics.camera_info is None:
        return None
    record = next(bag.records([topics.camera_info]), None)
    return _read(bag, record)[0] if record else None


def _read(bag: Bag, record: Record) -> tuple[Any, str]:
    """The message of a record, or None and why there is none."""
    try:
        return bag.message(record), ""
    except InputError as error:
        return None, str(error)
