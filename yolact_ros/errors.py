# SPDX-License-Identifier: Apache-2.0
"""Define the base class of errors that a user can mend."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Escape sequences of terminals, and control characters but tab and line feed.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class InputError(ValueError):
    """Report a value, a file or a message that cannot be used.

    The text is one sentence for the person who provided it: what was expected, what came, and what
    to do. The command line and the node show it without a traceback; any other exception is a
    fault of the package. What a terminal would obey, such as colours out of a file's name or of
    another library's text, is left out of it.
    """

    def __str__(self) -> str:
        return plain(super().__str__())


def expect_one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Check that a value is one of the allowed words.

    >>> expect_one_of("nms", "fast", ("fast", "exact"))
    >>> expect_one_of("nms", "soft", ("fast", "exact"))
    Traceback (most recent call last):
    yolact_ros.errors.InputError: nms: expected one of fast, exact, got 'soft'

    Args:
        name: Name of the option, as the user knows it.
        value: The value given.
        allowed: The allowed words, from `yolact_ros.choices`.

    Raises:
        InputError: The value is not one of them.
    """
    if value not in allowed:
        raise InputError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")


def first_few(texts: Sequence[str], most: int) -> str:
    """Join the first texts and say how many more there are.

    >>> first_few(("mug", "can", "box"), 2)
    'mug, can and 1 more'
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or its type's name if it has no text."""
    return (plain(str(error)).strip().splitlines() or [type(error).__name__])[0]


def plain(text: str) -> str:
    r"""Text without escape sequences and control characters, for logs and terminals.

    >>> plain("\x1b[1mdone\x1b[0m")
    'done'
    """
    return _CONTROL.sub("", text)
