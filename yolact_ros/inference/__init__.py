# SPDX-License-Identifier: Apache-2.0
"""Inference: images in, instances out."""

from .loading import load_network, shipped_weights
from .options import SegmenterOptions
from .segmenter import Segmenter

__all__ = ["Segmenter", "SegmenterOptions", "load_network", "shipped_weights"]
