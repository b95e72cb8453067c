# SPDX-License-Identifier: Apache-2.0
"""Encodes matplotlib's figures; the only file here that imports matplotlib."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


def figure_png(figure: Figure, dpi: int) -> bytes:
    """Encode a figure as PNG, without the name and version of matplotlib.

    It takes a `Figure()`, not one of pyplot, which keeps state and looks for a display.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
