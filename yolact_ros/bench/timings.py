# SPDX-License-Identifier: Apache-2.0
"""Percentiles of measured times; no torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def percentiles(values: npt.NDArray[np.float64], unit: str = "_ms") -> dict[str, float]:
    """p50, p95 and p99 of one value or more, interpolated linearly between the two nearest ones.

    Of fewer than 100 values, p99 is little less than the largest one. The unit ends each key.
    """
    return {f"p{p}{unit}": float(np.percentile(values, p)) for p in (50, 95, 99)}
