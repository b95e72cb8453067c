# SPDX-License-Identifier: Apache-2.0
"""Encodes matplotlib's figures, without importing it: it is not on a robot."""

from __future__ import annotations

import io
from typing import Any


def figure_png(figure: Any, dpi: int) -> bytes:
    """Encode a figure of matplotlib as PNG, without the name and version of matplotlib.

    It takes a `Figure()`, not one of pyplot, which keeps state and looks for a display.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
