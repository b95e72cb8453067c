# SPDX-License-Identifier: Apache-2.0
"""Whether a kernel made for a GPU can be built there and gives what plain operations give."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from yolact_ros.errors import first_line

_TOLERANCE = 0.02
"""Of the largest value: a wrong kernel is wrong by more, and half precision by less."""
_REMEDIES = (
    ("c compiler", "install one, such as gcc"),
    ("python.h", "install Python's headers, such as python3-dev"),
    ("no module named 'triton'", "install triton"),
)

_log = logging.getLogger(__name__)


def works(what: str, kernel: Callable[[], Tensor], plain: Callable[[], Tensor]) -> bool:
    """Try a kernel on a small case; a line in the log says why it cannot be used and what mends it.

    Args:
        what: The kernel's work, for the log.
        kernel: Runs the kernel.
        plain: Does the same in torch's operations.
    """
    try:
        found = kernel()
    except Exception as error:  # whatever a compiler, a driver or an old version raises
        text = " ".join(str(error).split()).lower()
        remedies = [remedy for sign, remedy in _REMEDIES if sign in text]
        reason = "; ".join([f"{type(error).__name__}: {first_line(error)}", *remedies])
        _log.warning("%s: torch's slower operations are used: %s", what, reason)
        _log.debug("%s", what, exc_info=True)
        return False
    expected = plain()
    difference = largest_difference(found, expected)
    if difference <= _TOLERANCE:
        return True
    _log.warning(
        "%s: torch's slower operations are used: the kernel differs from them by %.0f %%; another "
        "version of triton or torch may mend it",
        what,
        100 * difference,
    )
    return False


def largest_difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest expected value; infinite in NaNs alone."""
    if found.shape != expected.shape or not torch.equal(found.isnan(), expected.isnan()):
        return float("inf")
    if not expected.numel():
        return 0.0
    found, expected = found.double().nan_to_num(), expected.double().nan_to_num()
    largest = float(expected.abs().max())
    return float((found - expected).abs().max()) / (largest or 1.0)
