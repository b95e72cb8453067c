# SPDX-License-Identifier: Apache-2.0
"""Architectures, class lists and normalisation, by name. No torch here."""

from .classes import COCO_CLASSES, DEMO_CLASSES
from .preset import Normalization, Preset, Published, ResNetSpec
from .registry import get_preset, preset_names

__all__ = [
    "COCO_CLASSES",
    "DEMO_CLASSES",
    "Normalization",
    "Preset",
    "Published",
    "ResNetSpec",
    "get_preset",
    "preset_names",
]
