# SPDX-License-Identifier: Apache-2.0
"""Define the base class of errors that a user can mend."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(ValueError):
    """Report a value, a file or a message that cannot be used.

    The text is one sentence for the person who provided it: what was expected, what came, and what
    to do. The command line and the node show it without a traceback; any other exception is a
    fault of the package.
    """


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


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or its type's name if it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
