# SPDX-License-Identifier: Apache-2.0
"""Inference: images in, instances out.

In: uint8 images (H, W, 3), and a network by preset, weights file or object. Out: one
`yolact_ros.structures.Instances` per image.

Read in this order:

- `segmenter`: `Segmenter`, the entry point; `options`: what may change between two calls;
- `loading`, `device`, `precision`: from names to weights, devices and arithmetic;
- `path`: the stages of a call, one after the other: `preprocess`, the network, `decode`,
  `rescore` (YOLACT++), `assemble`; `timing` measures them;
- `gpu/`: the same stages on a GPU, in shapes that a CUDA graph can hold;
- `engines/`: what runs the network.
"""

from .loading import load_network, shipped_weights
from .options import SegmenterOptions
from .segmenter import Segmenter

__all__ = ["Segmenter", "SegmenterOptions", "load_network", "shipped_weights"]
