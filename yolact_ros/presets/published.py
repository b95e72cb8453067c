# SPDX-License-Identifier: Apache-2.0
"""The authors' eight networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .classes import COCO_CATEGORY_IDS, COCO_CLASSES, PASCAL_CLASSES
from .preset import BackboneSpec, DarkNetSpec, Normalization, Preset, Published, ResNetSpec

_RESNET50 = ResNetSpec(block="bottleneck", blocks=(3, 4, 6, 3))
_RESNET101 = ResNetSpec(block="bottleneck", blocks=(3, 4, 23, 3))
# YOLACT++ has three sizes a level, a third of an octave apart (TPAMI paper, section 6.2).
_PLUS_SIZES = tuple(tuple(24 * 2**level * 2 ** (j / 3) for j in range(3)) for level in range(5))


def _on_coco(
    name: str, backbone: BackboneSpec, mask_ap: float, fps: float, **others: Any
) -> Preset:
    """A network that the authors trained on COCO, with their file of weights."""
    page = f"https://huggingface.co/dbolya/{name.replace('_', '-')}"
    url = f"{page}/resolve/main/{name}_54_800000.pth"
    return Preset(
        name=name,
        class_names=COCO_CLASSES,
        category_ids=COCO_CATEGORY_IDS,
        backbone=backbone,
        published=Published(mask_ap=mask_ap, fps=fps, weights_url=url),
        **others,
    )


def _plus(name: str, backbone: ResNetSpec, mask_ap: float, fps: float) -> Preset:
    return _on_coco(
        name, backbone, mask_ap, fps, prior_sizes=_PLUS_SIZES, square_priors=False, mask_iou=True
    )


PUBLISHED_PRESETS = (
    _on_coco("yolact_base", _RESNET101, mask_ap=29.8, fps=33.5),
    _on_coco("yolact_resnet50", _RESNET50, mask_ap=28.2, fps=42.5),
    _on_coco(
        "yolact_darknet53",
        DarkNetSpec(),
        mask_ap=28.7,
        fps=40.0,
        normalization=Normalization(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
    ),
    Preset(
        name="yolact_im400",
        class_names=COCO_CLASSES,
        category_ids=COCO_CATEGORY_IDS,
        backbone=_RESNET101,
        input_size=400,
        prior_sizes=((17,), (34,), (69,), (139,), (279,)),
        published=Published(mask_ap=24.9, fps=45.3, source="YOLACT paper, table 1"),
    ),
    _on_coco(
        "yolact_im700",
        _RESNET101,
        mask_ap=31.2,
        fps=23.6,
        input_size=700,
        prior_sizes=((30,), (61,), (122,), (244,), (488,)),
    ),
    Preset(
        name="yolact_resnet50_pascal",
        class_names=PASCAL_CLASSES,
        backbone=_RESNET50,
        prior_sizes=((32,), (64,), (128,), (256,), (512,)),
        square_priors=False,
        published=Published(
            weights_page="the README of dbolya/yolact, section Pascal SBD",
            source="README of dbolya/yolact: Pascal SBD, AP50 72.3",
        ),
    ),
    _plus("yolact_plus_base", replace(_RESNET101, deformable_interval=3), mask_ap=34.6, fps=27.3),
    _plus(
        "yolact_plus_resnet50", replace(_RESNET50, deformable_interval=1), mask_ap=34.1, fps=33.5
    ),
)
