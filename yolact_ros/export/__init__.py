# SPDX-License-Identifier: Apache-2.0
"""Export: a network in, one file out that runs without this package (docs/export.md).

Read `export` first (writes the file and compares it with the network), then `exported_network` (the
network with decoding and suppression as one module, which is written), the two formats,
`onnx_format` and `torch_format`, and `description` (what a file is). `quantize` writes an exported
file in INT8, `quantized_layers` finds the layers in it.
"""

from .export import export_network
from .quantize import quantize_file

__all__ = ["export_network", "quantize_file"]
