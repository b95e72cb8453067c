# SPDX-License-Identifier: Apache-2.0
"""Pure tensor functions, without state and without the network.

In: tensors of boxes, scores, pixels or prototypes. Out: tensors on the same device.

- `boxes`: forms of boxes, and their encoding against priors;
- `suppression`: the kinds of non-maximum suppression, for one image and for a batch;
- `resize`: uint8 images to the network's normalised input;
- `deformable`: deformable convolution on a CPU;
- `masks/`: prototypes and coefficients to packed masks.
"""
