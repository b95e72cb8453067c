# SPDX-License-Identifier: Apache-2.0
"""The fields of a preset: one architecture with its classes and normalisation."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Normalization:
    """`(pixel - mean) / std` for RGB pixels of 0 to 255. The defaults are ImageNet's."""

    mean: tuple[float, float, float] = (123.68, 116.78, 103.94)
    std: tuple[float, float, float] = (58.40, 57.12, 57.38)


@dataclass(frozen=True)
class ResNetSpec:
    """A residual backbone.

    Attributes:
        block: "bottleneck" (ResNet-50 and deeper) or "basic" (ResNet-18, -34 and the demo's).
        blocks: Residual blocks in each of the four stages.
        width: Channels of the stem and of the first stage's inner convolutions; each further
            stage doubles them.
    """

    block: str
    blocks: tuple[int, int, int, int]
    width: int = 64


@dataclass(frozen=True)
class Published:
    """What the authors report for their weights.

    Attributes:
        mask_ap: COCO test-dev mask AP@[.5:.95] in percent.
        fps: Frames a second on a Titan Xp.
        source: Where the figures stand.
    """

    mask_ap: float
    fps: float
    source: str = "the authors' repository, dbolya/yolact, README (COCO test-dev)"


@dataclass(frozen=True)
class Preset:
    """An architecture, its classes and its normalisation.

    Attributes:
        name: Unique name in the registry.
        class_names: Without background, in the order of the class ids.
        backbone: The feature extractor.
        input_size: Side S of the square network input in pixels.
        prior_sizes: For each level P3 to P7 the prior sides in input pixels.
        aspect_ratios: Width over height of the priors, for each size.
        square_priors: Whether height equals width whatever the aspect ratio: so were the published
            COCO models trained, by an oversight that their weights depend on.
        fpn_channels: Channels of every pyramid level and of the heads.
        prototypes: Number k of prototype masks, also of mask coefficients.
        normalization: Of the input.
        category_ids: Category ids for results in COCO's format, one a class.
        published: The authors' figures, where there are any.
    """

    name: str
    class_names: tuple[str, ...]
    backbone: ResNetSpec
    input_size: int = 550
    prior_sizes: tuple[tuple[float, ...], ...] = ((24,), (48,), (96,), (192,), (384,))
    aspect_ratios: tuple[float, ...] = (1.0, 0.5, 2.0)
    square_priors: bool = True
    fpn_channels: int = 256
    prototypes: int = 32
    normalization: Normalization = field(default_factory=Normalization)
    category_ids: tuple[int, ...] = ()
    published: Published | None = None

    def __post_init__(self) -> None:
        if len(self.prior_sizes) != 5:
            raise ValueError(
                f"prior_sizes: expected one tuple for each of P3 to P7, got {self.prior_sizes}"
            )
        if self.category_ids and len(self.category_ids) != len(self.class_names):
            raise ValueError(
                f"category_ids: expected {len(self.class_names)}, one a class, "
                f"got {len(self.category_ids)}"
            )
        if not self.category_ids:
            object.__setattr__(self, "category_ids", tuple(range(1, len(self.class_names) + 1)))

    @property
    def num_classes(self) -> int:
        """Number of classes with background, as the class head counts them."""
        return len(self.class_names) + 1
