# SPDX-License-Identifier: Apache-2.0
"""The base class of the errors that somebody who uses this package can mend."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(ValueError):
    """A value, a file or a message is not as it should be.

    The text is one sentence for the person who gave it: what was expected, what came, and what to
    do. The command line and the node show it without a traceback; any other exception is a fault
    of the package.
    """


def expect_one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Checks a value against the words that are allowed.

    Args:
        name: What the value is called where it was given.
        value: What was given.
        allowed: The words, as in `yolact_ros.choices`.

    Raises:
        InputError: The value is none of them.
    """
    if value not in allowed:
        raise InputError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or its type's name if it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
