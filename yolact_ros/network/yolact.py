# SPDX-License-Identifier: Apache-2.0
"""The YOLACT network (Bolya et al., ICCV 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolact_ros.presets import Preset, get_preset
from yolact_ros.structures import RawPredictions, TrainingPredictions

from .backbone import ResNetBackbone
from .fpn import FeaturePyramid
from .heads import PredictionHead, Protonet
from .priors import make_priors


class Yolact(nn.Module):
    """Backbone, feature pyramid, prototypes and the shared head.

    The submodules carry the published tensor names, so that official checkpoints load.

    Args:
        preset: Architecture and classes.
    """

    priors: Tensor

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        priors_per_cell = {len(sizes) * len(preset.aspect_ratios) for sizes in preset.prior_sizes}
        if len(priors_per_cell) != 1:
            raise ValueError(
                "prior_sizes: expected the same number of sizes on every level, "
                f"got {preset.prior_sizes}"
            )
        channels = preset.fpn_channels
        self.backbone = ResNetBackbone(preset.backbone)
        self.fpn = FeaturePyramid(self.backbone.channels, channels)
        self.proto_net = Protonet(channels, preset.prototypes)
        # One head for all levels; a list because its tensors are called `prediction_layers.0`.
        self.prediction_layers = nn.ModuleList(
            [PredictionHead(channels, priors_per_cell.pop(), preset.num_classes, preset.prototypes)]
        )
        # Used in training only (YOLACT paper, section 5, semantic segmentation loss).
        self.semantic_seg_conv = nn.Conv2d(channels, preset.num_classes - 1, 1)
        self.register_buffer("priors", make_priors(preset), persistent=False)
        self._initialize()

    def forward(self, x: Tensor) -> RawPredictions | TrainingPredictions:
        """Runs the network.

        Args:
            x: (B, 3, S, S) normalised RGB, S the preset's input size.

        Returns:
            `RawPredictions` in evaluation mode, `TrainingPredictions` in training mode.
        """
        side = self.preset.input_size
        if x.ndim != 4 or x.shape[1:] != (3, side, side):
            raise ValueError(f"input: expected (B, 3, {side}, {side}), got {tuple(x.shape)}")
        levels = self.fpn(self.backbone(x))
        prototypes = self.proto_net(levels[0])
        offsets, class_logits, coefficients = self.prediction_layers[0](levels)
        if self.training:
            semantic_logits = self.semantic_seg_conv(levels[0])
            return TrainingPredictions(
                offsets, class_logits, coefficients, prototypes, semantic_logits, self.priors
            )
        class_scores = torch.softmax(class_logits, dim=-1)
        return RawPredictions(offsets, class_scores, coefficients, prototypes, self.priors)

    def _initialize(self) -> None:
        # As published: Xavier outside the backbone, zero biases.
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                if name.startswith("backbone."):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                else:
                    nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def build_network(preset: str | Preset) -> Yolact:
    """Builds the network of a preset with random weights, in training mode.

    Raises:
        ValueError: There is no preset of that name.
    """
    return Yolact(get_preset(preset) if isinstance(preset, str) else preset)
