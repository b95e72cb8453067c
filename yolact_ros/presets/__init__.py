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
from .registry import get_preset, preset_names, with_backbone, with_classes, with_input_size
from .serialization import preset_from_json, preset_to_json

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
    "preset_from_json",
    "preset_names",
    "preset_to_json",
    "with_backbone",
    "with_classes",
    "with_input_size",
]
