# SPDX-License-Identifier: Apache-2.0
"""What runs the network: torch, or an exported file in ONNX Runtime or OpenVINO.

In: the arguments of a `Segmenter`. Out: a `PreparedNetwork`, whose network turns normalised images
(B, 3, h, w) into `RawPredictions`.

Read `protocol` first (what decoding expects of a network), then `prepare` (checks the arguments and
chooses), `compilation` (torch.compile), `exported_file` (names and metadata of exported files),
`onnx_file` (reads and checks one, says why a runtime refuses it), `cut_network` (what the engines
for them share), `onnxruntime` and `openvino`.
"""
