# SPDX-License-Identifier: Apache-2.0
"""JSON files whose lists grow while they are valid at any moment, in flat memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from .writing import replacing

_ROOM = 1 << 16
_CHUNK = 1 << 20
_CLOSING = b"\n]"


class GrowingJson:
    """A JSON file with one list or several that items are added to, in place.

    Items are written over the bracket that closes their list, with the bracket behind them. The
    space for that is taken from the disk beforehand, as white space, which JSON allows: so a full
    disk leaves the file as it was. The last list ends where the file ends. Behind the others there
    is white space to grow into; where that is used up, the file is copied with twice as much.

    Args:
        path: The file; one that is there is replaced.
        pieces: The JSON text before, between and after the lists, such as `('{"a":', ',"b":',
            "}")` for two, or `("", "")` for a file that is one list.

    Raises:
        OSError: The file cannot be written.

    Example:
        >>> file = GrowingJson(Path("pets.json"), ('{"cats": ', ', "dogs": ', "}"))
        >>> file.add([], [{"name": "Rex"}])
        >>> file.add([{"name": "Tom"}, {"name": "Felix"}], [])
        >>> json.loads(Path("pets.json").read_text())
        {'cats': [{'name': 'Tom'}, {'name': 'Felix'}], 'dogs': [{'name': 'Rex'}]}
        >>> file.close()
    """

    def __init__(self, path: Path, pieces: Sequence[str]) -> None:
        self.path = path
        self._tail = pieces[-1].encode() + b"\n"
        self._ends: list[int] = []  # offset of each list's closing
        self._limits: list[int] = []  # offset of the piece behind each list but the last
        text = b""
        for piece in pieces[:-1]:
            if self._ends:
                text += _CLOSING + b" " * _ROOM
                self._limits.append(len(text))
            text += piece.encode() + b"["
            self._ends.append(len(text))
        self._counts = [0] * len(self._ends)
        self._renew([text + _CLOSING + self._tail])

    def add(self, *additions: Sequence[Any]) -> None:
        """Add items to the end of each list, one argument a list.

        Raises:
            OSError: There is no space for them; the file is as it was.
        """
        texts = [self._encoded(index, items) for index, items in enumerate(additions)]
        for index, limit in enumerate(self._limits):
            if self._ends[index] + len(texts[index] + _CLOSING) > limit:
                self._enlarge(index, len(texts[index]))
        self._take_space(len(texts[-1]))
        for index, text in enumerate(texts):
            tail = self._tail if index == len(texts) - 1 else b""
            self._write(self._ends[index], text + _CLOSING + tail)
            self._ends[index] += len(text)
            self._counts[index] += len(additions[index])

    def _encoded(self, index: int, items: Sequence[Any]) -> bytes:
        text = b",".join(b"\n" + json.dumps(item, separators=(",", ":")).encode() for item in items)
        return b"," + text if text and self._counts[index] else text

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _take_space(self, more: int) -> None:
        """Make the file longer, for the last list."""
        size = os.fstat(self._file).st_size
        try:
            self._write(size, b" " * more)
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def _enlarge(self, index: int, more: int) -> None:
        """Copy the file, with room for as much again behind a list."""
        end = self._ends[index] + len(_CLOSING)
        room, limit = end + more, self._limits[index]
        size = os.fstat(self._file).st_size
        old = self._file
        self._renew(chain(_read(old, 0, end), [b" " * room], _read(old, limit, size)))
        os.close(old)
        shift = end + room - limit
        self._limits[index:] = [other + shift for other in self._limits[index:]]
        self._ends[index + 1 :] = [other + shift for other in self._ends[index + 1 :]]

    def _renew(self, content: Iterable[bytes]) -> None:
        """Write the file under another name and put it in its place."""
        with replacing(self.path) as unfinished:
            with open(unfinished, "wb") as file:
                file.writelines(content)
            self._file = os.open(unfinished, os.O_RDWR)

    def _write(self, offset: int, data: bytes) -> None:
        try:
            while data:
                written = os.pwrite(self._file, data, offset)
                offset, data = offset + written, data[written:]
        except OSError as error:
            error.filename = str(self.path)
            raise


def _read(file: int, begin: int, end: int) -> Iterator[bytes]:
    for offset in range(begin, end, _CHUNK):
        yield os.pread(file, min(_CHUNK, end - offset), offset)
