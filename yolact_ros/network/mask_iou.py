# SPDX-License-Identifier: Apache-2.0
"""The mask-IoU net of YOLACT++ (Bolya et al., TPAMI 2020, section "Fast mask re-scoring")."""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional as F

_LEAST_SIDE = 63  # what five unpadded 3x3 convolutions of stride 2 make one pixel of
_CHANNELS = (1, 8, 16, 32, 64, 128)


class MaskIouNet(nn.Module):
    """Predicts the overlap of a mask with its object's true mask, for every class.

    Args:
        classes: Number of classes without background.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(_CHANNELS):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(_CHANNELS[-1], classes, 1), nn.ReLU(inplace=True)]
        # The name is part of the published tensor names.
        self.maskiou_net = nn.Sequential(*layers)

    def forward(self, masks: Tensor) -> Tensor:
        """Scores masks.

        Args:
            masks: (N, 1, h, w) soft masks at prototype resolution, cropped by their boxes; of any
                floating type. Sides under 63 pixels, which no published network has, are filled up
                with zeros.

        Returns:
            (N, classes) predicted IoU, not below 0 and not bounded above.
        """
        height, width = masks.shape[2:]
        if height < _LEAST_SIDE or width < _LEAST_SIDE:
            right, bottom = max(0, _LEAST_SIDE - width), max(0, _LEAST_SIDE - height)
            masks = F.pad(masks, (0, right, 0, bottom))
        scores: Tensor = self.maskiou_net(masks.to(next(self.parameters()).dtype))
        return scores.amax(dim=(2, 3))
