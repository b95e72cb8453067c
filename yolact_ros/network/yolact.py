# SPDX-License-Identifier: Apache-2.0
"""The YOLACT and YOLACT++ networks (Bolya et al., ICCV 2019 and TPAMI 2020)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from yolact_ros.errors import InputError
from yolact_ros.presets import (
    BackboneSpec,
    DarkNetSpec,
    Preset,
    ResNetSpec,
    get_preset,
)
from yolact_ros.structures import PendingPredictions, RawPredictions, TrainingPredictions

from .backbone import ResNetBackbone
from .darknet import DarkNetBackbone
from .deformable import DeformableConv2d
from .fpn import FeaturePyramid
from .heads import HeadOutputs, PredictionHead, Protonet
from .mask_iou import MaskIouNet
from .priors import PriorCache
from .prototypes import prototypes_within
from .torchvision_backbone import TorchvisionBackbone

Backbone = ResNetBackbone | DarkNetBackbone | TorchvisionBackbone


class Yolact(nn.Module):
    """Backbone, feature pyramid, prototype masks and the shared prediction head.

    The submodules have the published tensor names, so that official checkpoints load.

    Args:
        preset: Architecture and classes.

    Attributes:
        maskiou_net: Scores assembled masks (YOLACT++); None without one.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        channels, levels = preset.fpn_channels, len(preset.prior_sizes)
        self.backbone = _build_backbone(preset.backbone)
        self.fpn = FeaturePyramid(self.backbone.channels, channels, levels)
        self.proto_net = Protonet(channels, preset.prototypes, preset.protonet_convolutions)
        # One head for all levels; a list because its tensors are called `prediction_layers.0`.
        self.prediction_layers = nn.ModuleList(
            [
                PredictionHead(
                    channels,
                    priors_per_cell=len(preset.prior_sizes[0]) * len(preset.aspect_ratios),
                    num_classes=preset.num_classes,
                    prototypes=preset.prototypes,
                    convolutions=preset.head_convolutions,
                )
            ]
        )
        # Used in training only (YOLACT paper, section 5, semantic segmentation loss).
        self.semantic_seg_conv = nn.Conv2d(channels, preset.num_classes - 1, 1)
        self.maskiou_net = MaskIouNet(preset.num_classes - 1) if preset.mask_iou else None
        self._priors = PriorCache(preset)
        self._initialize()

    def forward(
        self, x: Tensor, *, pending: bool = False
    ) -> RawPredictions | PendingPredictions | TrainingPredictions:
        """Run the network.

        Args:
            x: (B, 3, H, W) normalised RGB; H = W = the preset's input size as published.
            pending: In evaluation mode, whether the prototypes wait until boxes are known.

        Returns:
            `RawPredictions` in evaluation mode, or `PendingPredictions` if these are asked for;
            `TrainingPredictions` in training mode.
        """
        if x.ndim != 4 or x.shape[1] != 3:
            raise InputError(f"input: expected (B, 3, H, W), got {tuple(x.shape)}")
        levels, (offsets, class_logits, coefficients) = self.predict(x)
        p3 = levels[0]
        cells = [(level.shape[2], level.shape[3]) for level in levels]
        priors = self._priors.get((x.shape[2], x.shape[3]), cells, x.device)
        if self.training:
            prototypes = self.prototypes(p3)
            semantic_logits = self.semantic_seg_conv(p3)
            return TrainingPredictions(
                offsets, class_logits, coefficients, prototypes, semantic_logits, priors
            )
        # In half precision the best candidates would all score 1, and any of them be kept.
        dtype = torch.promote_types(class_logits.dtype, torch.float32)
        class_scores = torch.softmax(class_logits, dim=-1, dtype=dtype)
        if pending:
            make = partial(prototypes_within, self.proto_net, self.prototypes, p3)
            return PendingPredictions(offsets, class_scores, coefficients, make, priors)
        return RawPredictions(offsets, class_scores, coefficients, self.prototypes(p3), priors)

    def start(self, x: Tensor) -> PendingPredictions:
        """Run the network but for its prototypes, in evaluation mode."""
        predictions: PendingPredictions = self(x, pending=True)
        return predictions

    def predict(self, x: Tensor) -> tuple[list[Tensor], HeadOutputs]:
        """The pyramid levels and the outputs of the head."""
        levels = self.fpn(self.backbone(x))
        return levels, self.prediction_layers[0](levels)

    def prototypes(self, p3: Tensor) -> Tensor:
        """(B, h, w, k) prototypes of the finest pyramid level."""
        prototypes: Tensor = self.proto_net(p3)
        return prototypes

    def _initialize(self) -> None:
        # As published: Xavier outside the backbone, zero biases.
        own_backbone = not isinstance(self.backbone, TorchvisionBackbone)
        deformable = {
            name + ".conv_offset_mask"
            for name, module in self.named_modules()
            if isinstance(module, DeformableConv2d)
        }
        for name, module in self.named_modules():
            if not isinstance(module, nn.Conv2d) or name in deformable:
                continue
            if not name.startswith("backbone."):
                nn.init.xavier_uniform_(module.weight)
            elif own_backbone:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            else:
                continue  # torchvision initialises each network in its own way
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _build_backbone(spec: BackboneSpec) -> Backbone:
    if isinstance(spec, ResNetSpec):
        return ResNetBackbone(spec)
    if isinstance(spec, DarkNetSpec):
        return DarkNetBackbone(spec)
    return TorchvisionBackbone(spec)


def build_network(preset: str | Preset) -> Yolact:
    """Build the network of a preset with random weights, in training mode.

    Args:
        preset: A preset or its name.

    Raises:
        InputError: There is no preset of that name.

    Example:
        >>> import torch
        >>> from yolact_ros.network import build_network
        >>> network = build_network("yolact_demo").eval()
        >>> with torch.inference_mode():
        ...     predictions = network(torch.zeros(1, 3, 320, 320))
        >>> predictions.class_scores.shape, predictions.prototypes.shape
        (torch.Size([1, 6402, 9]), torch.Size([1, 80, 80, 24]))
    """
    return Yolact(get_preset(preset))
