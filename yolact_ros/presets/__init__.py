# SPDX-License-Identifier: Apache-2.0
"""Architectures, class lists and normalisation, by name. No torch here."""

from .classes import COCO_CLASSES, DEMO_CLASSES, PASCAL_CLASSES
from .preset import (
    BackboneSpec,
    DarkNetSpec,
    Normalization,
    Preset,
    Published,
    ResNetSpec,
    TorchvisionSpec,
)
from .registry import get_preset, preset_names, with_backbone

__all__ = [
    "COCO_CLASSES",
    "DEMO_CLASSES",
    "PASCAL_CLASSES",
    "BackboneSpec",
    "DarkNetSpec",
    "Normalization",
    "Preset",
    "Published",
    "ResNetSpec",
    "TorchvisionSpec",
    "get_preset",
    "preset_names",
    "with_backbone",
]
