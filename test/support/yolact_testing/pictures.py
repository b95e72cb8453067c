# SPDX-License-Identifier: Apache-2.0
"""Pictures that are made up."""

import numpy as np


def noise(height: int, width: int, seed: int = 0, *, block: int = 1) -> np.ndarray:
    """(height, width, 3) uint8 of random colours, in squares of `block` pixels."""
    generator = np.random.default_rng(seed)
    rows, columns = -(-height // block), -(-width // block)
    pixels = generator.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    return np.ascontiguousarray(pixels.repeat(block, 0).repeat(block, 1)[:height, :width])
