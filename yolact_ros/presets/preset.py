# SPDX-License-Identifier: Apache-2.0
"""The fields of a preset: one architecture with its classes and normalisation."""

from __future__ import annotations

from dataclasses import dataclass, field

from yolact_ros.errors import InputError


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
        deformable_interval: In the last three stages, every `deformable_interval`-th block,
            starting with the first, has a deformable 3x3 convolution (YOLACT++); 0 for none.
    """

    block: str
    blocks: tuple[int, int, int, int]
    width: int = 64
    deformable_interval: int = 0


@dataclass(frozen=True)
class DarkNetSpec:
    """A DarkNet.

    Attributes:
        blocks: Residual blocks in each of the five stages.
    """

    blocks: tuple[int, int, int, int, int] = (1, 2, 8, 8, 4)


@dataclass(frozen=True)
class TorchvisionSpec:
    """One of torchvision's classification networks.

    Attributes:
        name: As `torchvision.models.get_model` takes it.
    """

    name: str

    @classmethod
    def parse(cls, text: str) -> TorchvisionSpec:
        """Reads "torchvision:NAME".

        Whether torchvision has such a network shows when it is built.

        Raises:
            InputError: It is something else.
        """
        source, _, name = text.partition(":")
        if source != "torchvision" or not name:
            raise InputError(
                "backbone: expected torchvision:NAME, such as torchvision:mobilenet_v3_large, "
                f"got {text!r}"
            )
        return cls(name)


BackboneSpec = ResNetSpec | DarkNetSpec | TorchvisionSpec


@dataclass(frozen=True)
class Published:
    """What the authors report, and their weights.

    Attributes:
        mask_ap: COCO test-dev mask AP@[.5:.95] in percent; None where they report none.
        fps: Frames a second on a Titan Xp; None where they report none.
        weights_url: Where the authors' file can be fetched; empty where they published none.
        weights_page: Where a person can fetch it, if a program cannot.
        source: Where the figures stand.
    """

    mask_ap: float | None = None
    fps: float | None = None
    weights_url: str = ""
    weights_page: str = ""
    source: str = "README of dbolya/yolact"


@dataclass(frozen=True)
class Preset:
    """An architecture, its classes and its normalisation.

    Attributes:
        name: Unique name in the registry.
        class_names: Without background, in the order of the class ids.
        backbone: The feature extractor; also taken as "torchvision:NAME".
        input_size: Side S of the square network input in pixels.
        prior_sizes: For each pyramid level, from P3 on, the prior sides in input pixels. There are
            as many levels as entries, five in all published networks and at least three.
        aspect_ratios: Width over height of the priors, for each size.
        square_priors: Whether height equals width whatever the aspect ratio: so were the published
            COCO models trained, by an oversight that their weights depend on.
        fpn_channels: Channels of every pyramid level and of the heads.
        prototypes: Number k of prototype masks, also of mask coefficients.
        head_convolutions: 3x3 convolutions of the shared head before its three outputs.
        protonet_convolutions: 3x3 convolutions of the protonet before its enlargement.
        mask_iou: Whether there is a mask-IoU net (YOLACT++).
        normalization: Of the input.
        category_ids: Category ids for results in COCO's format, one a class.
        published: The authors' figures, where there are any.
    """

    name: str
    class_names: tuple[str, ...]
    backbone: BackboneSpec
    input_size: int = 550
    prior_sizes: tuple[tuple[float, ...], ...] = ((24,), (48,), (96,), (192,), (384,))
    aspect_ratios: tuple[float, ...] = (1.0, 0.5, 2.0)
    square_priors: bool = True
    fpn_channels: int = 256
    prototypes: int = 32
    head_convolutions: int = 1
    protonet_convolutions: int = 3
    mask_iou: bool = False
    normalization: Normalization = field(default_factory=Normalization)
    category_ids: tuple[int, ...] = ()
    published: Published | None = None

    def __post_init__(self) -> None:
        if isinstance(self.backbone, str):
            object.__setattr__(self, "backbone", TorchvisionSpec.parse(self.backbone))
        self._check_values()
        if len(self.prior_sizes) < 3 or len(set(map(len, self.prior_sizes))) != 1:
            raise InputError(
                "prior_sizes: expected the same number of sizes on each of at least three levels, "
                f"got {self.prior_sizes}"
            )
        if self.category_ids and len(self.category_ids) != len(self.class_names):
            raise InputError(
                f"category_ids: expected {len(self.class_names)}, one a class, "
                f"got {len(self.category_ids)}"
            )
        if not self.category_ids:
            object.__setattr__(self, "category_ids", tuple(range(1, len(self.class_names) + 1)))

    def _check_values(self) -> None:
        if not self.class_names or len(set(self.class_names)) != len(self.class_names):
            raise InputError(
                f"class_names: expected one or more different names, got {self.class_names}"
            )
        if not all(name.strip() for name in self.class_names):
            raise InputError(f"class_names: expected no empty name, got {self.class_names}")
        for name in ("input_size", "fpn_channels", "prototypes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        for name in ("head_convolutions", "protonet_convolutions"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        sizes = [size for level in self.prior_sizes for size in level]
        if not sizes or min(sizes) <= 0:
            raise InputError(f"prior_sizes: expected positive sizes, got {self.prior_sizes}")
        if not self.aspect_ratios or min(self.aspect_ratios) <= 0:
            raise InputError(f"aspect_ratios: expected positive ones, got {self.aspect_ratios}")
        if min(self.normalization.std) <= 0:
            raise InputError(
                f"normalization.std: expected positive ones, got {self.normalization.std}"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes with background, as the class head counts them."""
        return len(self.class_names) + 1
