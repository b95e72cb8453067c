# SPDX-License-Identifier: Apache-2.0
"""Triton where it is installed; where it is not, modules with kernels are imported all the same."""

# Triton need not be installed.
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

from typing import Any

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = tl = None


def jit(function: Any) -> Any:
    """Make a function that kernels call."""
    return _Missing() if triton is None else triton.jit(function)


def kernel(*sizes: str) -> Any:
    """Make a kernel of a function, which then can only be launched.

    Args:
        sizes: Its arguments that are whole numbers. By itself Triton builds a kernel of its own for
            multiples of 16 and for 1, which takes a tenth of a second when a frame is waiting.
    """
    if triton is None:
        return lambda function: _Missing()
    return triton.jit(do_not_specialize=sizes)


class _Missing:
    """A kernel that says why it cannot be launched."""

    def __getitem__(self, grid: object) -> Any:
        raise ModuleNotFoundError("No module named 'triton'")
