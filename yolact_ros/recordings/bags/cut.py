# SPDX-License-Identifier: Apache-2.0
"""What a bag's file that is cut still tells: its topics."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

_LOOKED_AT = 1 << 28
"""Bytes of a file in which topics are looked for."""
_STEP = 1 << 24
_OVERLAP = 1 << 12
_NAME = rb"(/[A-Za-z0-9_/]+)"
_TYPE = rb"([a-z][a-z0-9_]*/(?:msg/)?[A-Z][A-Za-z0-9]*)"
_ROS_1 = re.compile(rb"topic=" + _NAME + rb".{4,64}?type=" + _TYPE, re.DOTALL)
_SCHEMA = re.compile(rb"\x03.{8}(.{2}).{4}" + _TYPE + rb".\0\0\0ros2(?:msg|idl)", re.DOTALL)
_CHANNEL = re.compile(rb"\x04.{8}.{2}(.{2}).{4}" + _NAME + rb"\x03\0\0\0cdr", re.DOTALL)


def topics_left(path: Path) -> list[tuple[str, str]]:
    """Return the names and types of the topics that are found in a damaged file; or nothing.

    Of MCAP and of ROS 1 these are looked for in what is not compressed: both begin with them, as
    they are recorded.
    """
    if path.suffix == ".db3":
        return _of_sqlite(path)
    found: dict[str, str] = {}
    types: dict[bytes, bytes] = {}
    with suppress(OSError), path.open("rb") as file:
        for begin in range(0, _LOOKED_AT, _STEP):
            file.seek(begin)
            data = file.read(_STEP + _OVERLAP)
            for name, kind in _ROS_1.findall(data):
                found[name.decode()] = kind.decode()
            types |= _SCHEMA.findall(data)
            for schema, name in _CHANNEL.findall(data):
                found[name.decode()] = types.get(schema, b"unknown type").decode()
            if len(data) <= _STEP:
                break
    return sorted(found.items())


def _of_sqlite(path: Path) -> list[tuple[str, str]]:
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as database,
    ):
        return database.execute("SELECT DISTINCT name, type FROM topics ORDER BY name").fetchall()
    return []
