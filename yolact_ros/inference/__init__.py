# SPDX-License-Identifier: Apache-2.0
"""Inference: images in, instances out."""

from .options import SegmenterOptions
from .segmenter import Segmenter, shipped_weights

__all__ = ["Segmenter", "SegmenterOptions", "shipped_weights"]
