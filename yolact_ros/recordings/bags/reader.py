# SPDX-License-Identifier: Apache-2.0
"""Read a bag without ROS."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from yolact_ros.errors import InputError, first_line

from .cut import topics_left

BAG_SUFFIXES = (".mcap", ".db3", ".bag")


class Topic(NamedTuple):
    """A topic of a bag.

    Attributes:
        name: Its name.
        type: Of its messages, such as "sensor_msgs/msg/Image".
        messages: Number of messages.
    """

    name: str
    type: str
    messages: int

    def __str__(self) -> str:
        return f"{self.name} ({self.type}, {self.messages})"


class Record(NamedTuple):
    """A message as it was recorded.

    Attributes:
        topic: The topic.
        time: When it was recorded, ns.
        data: Its bytes.
    """

    topic: Topic
    time: int
    data: bytes


class DamagedError(InputError):
    """A bag cannot be read from some place on."""


class Bag:
    """A bag, opened for reading; use it in a `with` block.

    Types are not taken from the bag, whose other topics may have any: those of images and
    calibrations are the same in all of ROS 2.

    Args:
        path: The folder of a rosbag2, with its metadata.yaml or without; one of its files; a ROS 1
            bag, or a folder of the parts of one.

    Attributes:
        path: The same.
        topics: By name.
        start, end: When the first and the last message were recorded, ns; both 0 if there is none.
        notes: What is odd about it, as sentences: files that cannot be read.

    Raises:
        InputError: It cannot be read, with what is in it as far as that can be told.
        ModuleNotFoundError: rosbags is not installed.
    """

    def __init__(self, path: Path) -> None:
        from rosbags.typesys import Stores, get_typestore

        self.path = path
        self.notes: list[str] = []
        self._stack = ExitStack()
        self._readers = self._open_all()
        self._ros_1 = any(reader.path.suffix == ".bag" for reader in self._readers)
        self._types = get_typestore(Stores.ROS1_NOETIC if self._ros_1 else Stores.ROS2_JAZZY)
        counts: dict[str, Topic] = {}
        for connection in (each for reader in self._readers for each in reader.connections):
            before = counts.get(connection.topic)
            count = connection.msgcount + (before.messages if before else 0)
            counts[connection.topic] = Topic(connection.topic, connection.msgtype, count)
        self.topics = dict(sorted(counts.items()))
        filled = [reader for reader in self._readers if reader.message_count]
        self.start = min((reader.start_time for reader in filled), default=0)
        self.end = max((reader.end_time for reader in filled), default=0)

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def records(
        self, names: Iterable[str], start: int | None = None, stop: int | None = None
    ) -> Iterator[Record]:
        """Yield the messages of some topics, in the order in which they were recorded.

        Args:
            names: Of the topics; at least one.
            start, stop: Only messages from this time to before that one, ns; None: all.

        Raises:
            DamagedError: The bag cannot be read any further.
        """
        wanted = set(names)
        streams = [
            reader.messages(chosen, start=start, stop=stop)
            for reader in self._readers
            if (chosen := [each for each in reader.connections if each.topic in wanted])
        ]
        merged = heapq.merge(*streams, key=lambda message: message[1])
        while True:
            try:
                connection, time, data = next(merged)
            except StopIteration:
                return
            except Exception as error:  # whatever the libraries below make of damaged data
                raise DamagedError(f"{self.path}: damaged: {first_line(error)}") from error
            yield Record(self.topics[connection.topic], time, data)

    def message(self, record: Record) -> Any:
        """Return a message with the fields' names of ROS 2.

        Raises:
            InputError: Its bytes are no such message.
        """
        read = self._types.deserialize_ros1 if self._ros_1 else self._types.deserialize_cdr
        try:
            # in memory that may be written to, as in rclpy's messages
            message: Any = read(memoryview(bytearray(record.data)), record.topic.type)
        except Exception as error:
            raise InputError(
                f"{record.topic.name}: expected a {record.topic.type}, got {len(record.data)} "
                f"bytes that are none: {first_line(error)}"
            ) from None
        if self._ros_1 and record.topic.type == "sensor_msgs/msg/CameraInfo":
            # K, D, P and R in ROS 1
            values = {each.name.lower(): getattr(message, each.name) for each in fields(message)}
            return SimpleNamespace(**values)
        return message

    def _open_all(self) -> list[Any]:
        """Open the bag as a whole, or else each of its files that can be."""
        if not self.path.exists():
            raise InputError(f"{self.path}: expected a bag, got nothing")
        if self.path.is_file() or (self.path / "metadata.yaml").exists():
            try:
                return [self._open(self.path)]
            except Exception as error:
                failure = error
        else:
            failure = InputError("it has no metadata.yaml")
        files = [self.path] if self.path.is_file() else _files(self.path)
        readers = []
        for file in files if self.path.is_dir() else []:
            try:
                readers.append(self._open(file))
            except Exception as error:
                self.notes.append(f"{file}: left out: {first_line(error)}{_left_in(file)}")
        if not readers:
            left = (
                "".join(_left_in(file) for file in files)
                or "; there is no .mcap, .db3 or .bag file"
            )
            raise InputError(f"{self.path}: expected a bag: {first_line(failure)}{left}")
        self.notes.insert(0, f"{self.path}: {first_line(failure)}: its files are read one by one")
        return readers

    def _open(self, path: Path) -> Any:
        from rosbags import rosbag1, rosbag2

        reader = (rosbag1 if path.suffix == ".bag" else rosbag2).Reader(path)
        return self._stack.enter_context(reader)


def _files(folder: Path) -> list[Path]:
    """The files of a folder that may be parts of a bag, in the order of their numbers."""
    found = [path for path in folder.iterdir() if path.suffix in BAG_SUFFIXES]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def _left_in(file: Path) -> str:
    topics = [f"{name} ({kind})" for name, kind in topics_left(file)]
    return f"; its topics: {', '.join(topics)}" if topics else ""
