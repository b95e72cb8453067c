# SPDX-License-Identifier: Apache-2.0
"""The network: its layers and how a preset puts them together; nothing about files of weights.

In: a preset, then (B, 3, H, W) normalised RGB. Out: `RawPredictions`; `PendingPredictions` if the
prototypes are to wait for boxes; `TrainingPredictions` in training mode.

Read `yolact` first (`Yolact.forward` is the whole network in ten lines), then its parts in order:
`backbone`, `darknet` or `torchvision_backbone`, `fpn`, `heads`, `priors`. `mask_iou` and
`deformable` belong to YOLACT++. `prototypes` leaves out what no mask needs; `folding` merges batch
norms into convolutions for inference.
"""

from .yolact import Yolact, build_network

__all__ = ["Yolact", "build_network"]
