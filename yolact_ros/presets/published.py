# SPDX-License-Identifier: Apache-2.0
"""The authors' eight networks."""

from __future__ import annotations

from .classes import COCO_CATEGORY_IDS, COCO_CLASSES, PASCAL_CLASSES
from .preset import DarkNetSpec, Normalization, Preset, Published, ResNetSpec

_RESNET50 = ResNetSpec(block="bottleneck", blocks=(3, 4, 6, 3))
_RESNET101 = ResNetSpec(block="bottleneck", blocks=(3, 4, 23, 3))
# YOLACT++ has three sizes a level, a third of an octave apart (TPAMI paper, section 6.2).
_PLUS_SIZES = tuple(tuple(24 * 2**level * 2 ** (j / 3) for j in range(3)) for level in range(5))


def _url(repository: str, file: str) -> str:
    return f"https://huggingface.co/dbolya/{repository}/resolve/main/{file}"


PUBLISHED_PRESETS = (
    Preset(
        name="yolact_base",
        class_names=COCO_CLASSES,
        category_ids=COCO_CATEGORY_IDS,
        backbone=_RESNET101,
        published=Published(
            mask_ap=29.8, fps=33.5, weights_url=_url("yolact-base", "yolact_base_54_800000.pth")
        ),
    ),
    Preset(
        name="yolact_resnet50",
        class_names=COCO_CLASSES,
        category_ids=COCO_CATEGORY_IDS,
        backbone=_RESNET50,
        published=Published(
            mask_ap=28.2,
            fps=42.5,
            weights_url=_url("yolact-resnet50", "yolact_resnet50_54_800000.pth"),
        ),
    ),
    Preset(
        name="yolact_darknet53",
        class_names=COCO_CLASSES,
        category_ids=COCO_CATEGORY_IDS,
        backbone=DarkNetSpec(),
        normalization=Normalization(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
        published=Published(
            mask_ap=28.7,
            fps=40.0,
            weights_url=_url("yolact-darknet53", "yolact_darknet53_54_800000.pth"),
        ),
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
    Preset(
        name="yolact_im700",
        class_names=COCO_CLASSES,
        category_ids=COCO_CATEGORY_IDS,
        backbone=_RESNET101,
        input_size=700,
        prior_sizes=((30,), (61,), (122,), (244,), (488,)),
        published=Published(
            mask_ap=31.2, fps=23.6, weights_url=_url("yolact-im700", "yolact_im700_54_800000.pth")
        ),
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
    Preset(
        name="yolact_plus_base",
        class_names=COCO_CLASSES,
        category_ids=COCO_CATEGORY_IDS,
        backbone=ResNetSpec(block="bottleneck", blocks=(3, 4, 23, 3), deformable_interval=3),
        prior_sizes=_PLUS_SIZES,
        square_priors=False,
        mask_iou=True,
        published=Published(
            mask_ap=34.6,
            fps=27.3,
            weights_url=_url("yolact-plus-base", "yolact_plus_base_54_800000.pth"),
        ),
    ),
    Preset(
        name="yolact_plus_resnet50",
        class_names=COCO_CLASSES,
        category_ids=COCO_CATEGORY_IDS,
        backbone=ResNetSpec(block="bottleneck", blocks=(3, 4, 6, 3), deformable_interval=1),
        prior_sizes=_PLUS_SIZES,
        square_priors=False,
        mask_iou=True,
        published=Published(
            mask_ap=34.1,
            fps=33.5,
            weights_url=_url("yolact-plus-resnet50", "yolact_plus_resnet50_54_800000.pth"),
        ),
    ),
)
