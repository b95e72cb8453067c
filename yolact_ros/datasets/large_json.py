# SPDX-License-Identifier: Apache-2.0
"""Reads JSON without the whole of its text beside the whole of its content in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

_PIECE = 4 << 20
"""Characters that are read at a time."""
_GOES_ON = ("", ".", "e", "E")
_SPACE = re.compile(r"[ \t\n\r]*")


def read_json(path: Path) -> Any:
    """Read a JSON file, as `json.loads` does of its bytes.

    Of an object, the entries of its lists are read one after the other: what of COCO's annotations
    is held beside the result is a piece of text in place of twice 450 MB.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no JSON.
        RecursionError: It is nested too deep.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return _Reader(file).object()
    except ValueError:  # an error, which this words well, or no object, or another encoding
        return json.loads(path.read_bytes())


class _Reader:
    """Reads an object from a file; ValueError: the text is something else, or has an error."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        # one string for all keys that are alike, as the decoder has within what it reads at once
        self._keys: dict[str, str] = {}
        self._decode = json.JSONDecoder(object_pairs_hook=self._with_known_keys).raw_decode

    def object(self) -> dict[str, Any]:
        self._expect("{")
        result = {}
        for _ in self._separated("}"):
            key = self._value()
            if not isinstance(key, str):
                raise ValueError("expected a key")
            self._expect(":")
            result[key] = self._list() if self._next() == "[" else self._value()
        if self._next():
            raise ValueError("expected the end")
        return result

    def _list(self) -> list[Any]:
        self._expect("[")
        return [self._value() for _ in self._separated("]")]

    def _separated(self, end: str) -> Iterator[None]:
        """Yield before each entry, and read the commas between them and the character `end`."""
        if self._next() == end:
            self._at += 1
            return
        while True:
            yield
            if self._next() == end:
                self._at += 1
                return
            self._expect(",")

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise ValueError(f"expected {character}")
        self._at += 1

    def _next(self) -> str:
        """The next character that is no space; empty: there is none."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError:
                if not self._read_on():
                    raise
                continue
            # a number may go on in the next piece, and what goes on as one has not ended
            if self._text[end : end + 1] not in _GOES_ON or not self._read_on():
                self._at = end
                return value

    def _read_on(self) -> bool:
        """Drop what is behind; read at least as much as is ahead, lest long values take long."""
        self._text = self._text[self._at :]
        self._at = 0
        piece = self._file.read(max(_PIECE, len(self._text)))
        self._text += piece
        return bool(piece)

    def _with_known_keys(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        known = self._keys.setdefault
        return {known(key, key): value for key, value in pairs}
