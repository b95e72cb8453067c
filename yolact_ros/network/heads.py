# SPDX-License-Identifier: Apache-2.0
"""The two parallel branches: prototypes of the whole image, and predictions for each prior."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Protonet(nn.Sequential):
    """Makes prototype masks of P3, at twice its resolution (YOLACT paper, section 3.1, figure 3).

    The layers' positions are part of the published tensor names: `proto_net.0`, `.2`, `.4`, `.8`
    and `.10` are the convolutions (with three before the enlargement).

    Args:
        channels: Channels of P3 and of the hidden layers.
        prototypes: Number k of prototypes.
        convolutions: 3x3 convolutions before the enlargement.

    Attributes:
        prototypes: As given.
        margin: Pixels of P3 at an edge whose prototypes depend on what lies beyond it: one for each
            convolution before the enlargement, and half for it and for the one behind it.
    """

    def __init__(self, channels: int, prototypes: int, convolutions: int) -> None:
        super().__init__(
            *_convolutions(channels, convolutions),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, prototypes, 1),
        )
        self.prototypes = prototypes
        self.margin = convolutions + 1

    def forward(self, p3: Tensor) -> Tensor:
        """(B, channels, h, w) to (B, 2h, 2w, k), after ReLU."""
        return F.relu(super().forward(p3)).permute(0, 2, 3, 1).contiguous()


class HeadOutputs(NamedTuple):
    """Predictions for the P priors of one pyramid level, or of all levels joined.

    Attributes:
        offsets: (B, P, 4).
        class_logits: (B, P, C), background first.
        coefficients: (B, P, k) after tanh.
    """

    offsets: Tensor
    class_logits: Tensor
    coefficients: Tensor


class PredictionHead(nn.Module):
    """The head that all pyramid levels share (YOLACT paper, figure 4).

    Args:
        channels: Channels of the pyramid levels.
        priors_per_cell: Priors at each position.
        num_classes: Classes, with background.
        prototypes: Number k of mask coefficients.
        convolutions: 3x3 convolutions before the three outputs.
    """

    def __init__(
        self,
        channels: int,
        priors_per_cell: int,
        num_classes: int,
        prototypes: int,
        convolutions: int,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.prototypes = prototypes
        self.upfeature = nn.Sequential(*_convolutions(channels, convolutions))
        self.bbox_layer = nn.Conv2d(channels, priors_per_cell * 4, 3, padding=1)
        self.conf_layer = nn.Conv2d(channels, priors_per_cell * num_classes, 3, padding=1)
        self.mask_layer = nn.Conv2d(channels, priors_per_cell * prototypes, 3, padding=1)

    def forward(self, levels: list[Tensor]) -> HeadOutputs:
        """All pyramid levels to the predictions of all priors, in the order of `make_priors`."""
        outputs = [self._predict_level(level) for level in levels]
        return HeadOutputs(*(torch.cat(parts, dim=1) for parts in zip(*outputs, strict=True)))

    def _predict_level(self, level: Tensor) -> HeadOutputs:
        x = self.upfeature(level)
        return HeadOutputs(
            offsets=_rows_of_priors(self.bbox_layer(x), 4),
            class_logits=_rows_of_priors(self.conf_layer(x), self.num_classes),
            coefficients=torch.tanh(_rows_of_priors(self.mask_layer(x), self.prototypes)),
        )


class JoinedHead(nn.Module):
    """A `PredictionHead` for inference, whose three outputs are one convolution.

    Args:
        head: Its weights are copied.
    """

    def __init__(self, head: PredictionHead) -> None:
        super().__init__()
        layers = (head.bbox_layer, head.conf_layer, head.mask_layer)
        self._components = (4, head.num_classes, head.prototypes)
        self._channels = [layer.out_channels for layer in layers]
        # Matrix units take channels by eights; there are 351 of COCO's classes.
        padding = -sum(self._channels) % 8
        first = head.bbox_layer
        self.upfeature = head.upfeature
        channels = sum(self._channels) + padding
        self.output = nn.Conv2d(first.in_channels, channels, 3, padding=1).to(first.weight)
        with torch.no_grad():
            self.output.weight.copy_(_padded([layer.weight for layer in layers], padding))
            biases = [layer.bias for layer in layers if layer.bias is not None]
            self.output.bias.copy_(_padded(biases, padding))  # type: ignore[union-attr]
        self.requires_grad_(False)

    def forward(self, levels: list[Tensor]) -> HeadOutputs:
        """See `PredictionHead.forward`."""
        cells = [
            self.output(self.upfeature(level)).permute(0, 2, 3, 1).flatten(1, 2) for level in levels
        ]
        joined = torch.cat(cells, dim=1)  # (B, cells of all levels, channels)
        parts = joined[..., : sum(self._channels)].split(self._channels, dim=2)
        offsets, class_logits, coefficients = (
            part.reshape(joined.shape[0], -1, components)
            for part, components in zip(parts, self._components, strict=True)
        )
        return HeadOutputs(offsets, class_logits, torch.tanh(coefficients))


def _padded(tensors: list[Tensor], padding: int) -> Tensor:
    joined = torch.cat(tensors)
    return torch.cat([joined, joined.new_zeros(padding, *joined.shape[1:])])


def _convolutions(channels: int, count: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
    return layers


def _rows_of_priors(x: Tensor, components: int) -> Tensor:
    # (B, A * K, H, W) to (B, H * W * A, K)
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, components)
