# SPDX-License-Identifier: Apache-2.0
"""Which scenes are used for what: one that chose weights or constants proves nothing of them."""

from __future__ import annotations

SEEDS = {
    "training": range(4_000),  # of the shipped weights
    "lanes in training": range(4_000, 5_000),  # what docs/demo_weights.md adds to them, to compare
    "fine-tuning": range(5_000, 5_060),  # the example of docs/training.md
    "constants": range(10_000, 11_000),  # thresholds and the like, in code and tests
    "figures": range(1_000_000, 2_000_000),  # everything that is reported, and nothing else
    "validation": range(2_000_000, 2_000_100),  # chose the shipped weights among the steps
    "demo": range(3_000_000, 4_000_000),  # what `demo_camera` films
    "bench": range(4_000_000, 5_000_000),  # what is segmented where only speed is measured
}
"""Seeds of scenes by their use; no two overlap. Tests of the scenes themselves use any."""
