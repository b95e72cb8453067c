# SPDX-License-Identifier: Apache-2.0
"""Define the containers that pass between the stages.

In the order of a frame's way: `RawPredictions` come out of the network (`PendingPredictions` where
only part of the prototypes may be needed, `TrainingPredictions` in training), `Detections` out of
decoding and suppression, `Instances` with their `PackedMask`s out of mask assembly. Predictions and
detections hold torch tensors on the network's device. The others hold NumPy arrays on the host; a
consumer that only decodes masks needs no torch, so torch is imported here for type checking alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

BACKGROUND_CLASS = 255
"""The value of background pixels in `Instances.class_map`."""


class RawPredictions(NamedTuple):
    """Hold the network's outputs in evaluation mode, before decoding, for B images and P priors.

    Attributes:
        offsets: (B, P, 4) box regressions (tx, ty, tw, th) relative to the priors.
        class_scores: (B, P, C) softmax probabilities, class 0 is background.
        coefficients: (B, P, k) mask coefficients after tanh, in [-1, 1].
        prototypes: (B, h, w, k) prototype masks after ReLU, channels last.
        priors: (P, 4) prior boxes cx, cy, w, h as fractions of the input side.
    """

    offsets: Tensor
    class_scores: Tensor
    coefficients: Tensor
    prototypes: Tensor
    priors: Tensor


class PendingPredictions(NamedTuple):
    """Hold what `RawPredictions` hold, with prototypes that wait until boxes are known.

    Attributes:
        offsets, class_scores, coefficients, priors: As in `RawPredictions`.
        prototypes: Makes the (h, w, k) prototypes of each image of the boxes of its detections,
            (N, 4) in corner form as fractions of the image. Beyond the crops of masks by these
            boxes any numbers may stand.
    """

    offsets: Tensor
    class_scores: Tensor
    coefficients: Tensor
    prototypes: Callable[[Sequence[Tensor]], list[Tensor]]
    priors: Tensor


class TrainingPredictions(NamedTuple):
    """Hold the network's outputs in training mode.

    Fields that are not listed here are those of `RawPredictions`.

    Attributes:
        class_logits: (B, P, C) before softmax.
        semantic_logits: (B, C - 1, h3, w3) per-pixel class logits at the resolution of P3.
    """

    offsets: Tensor
    class_logits: Tensor
    coefficients: Tensor
    prototypes: Tensor
    semantic_logits: Tensor
    priors: Tensor


class Detections(NamedTuple):
    """Hold the N detections kept in one image, best score first, before masks are assembled.

    Attributes:
        boxes: (N, 4) x1, y1, x2, y2 as fractions of the image, not clamped to it.
        scores: (N,) class probabilities.
        class_ids: (N,) int64, 0-based, background not counted.
        coefficients: (N, k) mask coefficients.
    """

    boxes: Tensor
    scores: Tensor
    class_ids: Tensor
    coefficients: Tensor


@dataclass(frozen=True, eq=False)
class PackedMask:
    """Hold one mask as bits, cropped to the tight rectangle around its own pixels.

    The rectangle may reach beyond the instance's box: the published method crops prototypes to the
    box plus one prototype pixel, and upsamples afterwards. An empty mask has width and height 0.

    >>> pixels = np.zeros((4, 12), dtype=bool)
    >>> pixels[1:3, 2:11] = True
    >>> mask = PackedMask.from_array(pixels)
    >>> mask
    PackedMask(x_offset=2, y_offset=1, width=9, height=2, step=2)
    >>> mask.area, mask.data.tolist()
    (18, [255, 128, 255, 128])

    Attributes:
        x_offset: Image column of the rectangle's left edge, in pixels.
        y_offset: Image row of the rectangle's upper edge, in pixels.
        width: Number of columns.
        height: Number of rows.
        step: Bytes from one row of bits to the next, at least ceil(width / 8).
        data: (height * step,) uint8. One bit per pixel, most significant bit first, each row padded
            to whole bytes.

    Raises:
        ValueError: A field is negative or contradicts the others, or `data` is not uint8.
    """

    x_offset: int
    y_offset: int
    width: int
    height: int
    step: int
    data: npt.NDArray[np.uint8] = field(repr=False)

    def __post_init__(self) -> None:
        if min(self.x_offset, self.y_offset, self.width, self.height) < 0:
            raise ValueError(f"mask: expected offsets and sizes of 0 or more, got {self}")
        if self.step * 8 < self.width:
            raise ValueError(f"mask: expected step >= ceil(width / 8), got {self}")
        _check_array("data", self.data, (self.height * self.step,), np.uint8)

    @classmethod
    def from_array(
        cls, region: npt.NDArray[np.bool_], x_offset: int = 0, y_offset: int = 0
    ) -> PackedMask:
        """Crop a mask to its own pixels and pack it.

        Args:
            region: (h, w) bool, a part of the image.
            x_offset: Image column of the region's first pixel.
            y_offset: Image row of the region's first pixel.

        Raises:
            ValueError: `region` has another shape or type, or begins outside the image.
        """
        if region.ndim != 2 or region.dtype != np.bool_:
            raise ValueError(f"region: expected (h, w) bool, got {region.shape} {region.dtype}")
        rows = np.flatnonzero(region.any(axis=1))
        if rows.size == 0:
            return cls(0, 0, 0, 0, 0, np.zeros(0, np.uint8))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(region[top:bottom].any(axis=0))
        left, right = int(columns[0]), int(columns[-1]) + 1
        bits = np.packbits(region[top:bottom, left:right], axis=1)
        return cls(
            x_offset=x_offset + left,
            y_offset=y_offset + top,
            width=right - left,
            height=bottom - top,
            step=bits.shape[1],
            data=bits.reshape(-1),
        )

    def to_array(self) -> npt.NDArray[np.bool_]:
        """Unpack the rectangle's pixels: (height, width) bool."""
        if self.empty:
            return np.zeros((0, 0), dtype=bool)
        rows = self.data.reshape(self.height, self.step)
        return np.unpackbits(rows, axis=1, count=self.width).view(bool)

    @property
    def empty(self) -> bool:
        """Whether the mask has no pixels."""
        return self.width == 0

    @property
    def area(self) -> int:
        """The number of pixels of the mask."""
        return int(np.count_nonzero(np.unpackbits(self.data)))

    @property
    def rectangle(self) -> tuple[slice, slice]:
        """The rectangle as an index into an image: `image[mask.rectangle]`."""
        return (
            slice(self.y_offset, self.y_offset + self.height),
            slice(self.x_offset, self.x_offset + self.width),
        )


@dataclass(frozen=True)
class Instance:
    """Describe one instance, as iterating over `Instances` yields it.

    Attributes:
        box: (4,) float32 x1, y1, x2, y2 in pixels.
        score: Class probability in [0, 1].
        class_id: 0-based, background not counted.
        class_name: Name of the class.
        packed_mask: The mask's bits; `packed_mask.to_array()` gives the pixels of its rectangle.
        mask_score: Predicted mask IoU, or None without a mask-IoU head.
    """

    box: npt.NDArray[np.float32]
    score: float
    class_id: int
    class_name: str
    packed_mask: PackedMask
    mask_score: float | None


@dataclass(frozen=True, eq=False, repr=False)
class Instances:
    """Hold the N instances found in one image, best score first.

    An index selects instances, and always gives `Instances` again; iterating gives each `Instance`:

    >>> left, right = np.zeros((2, 4, 6), dtype=bool)
    >>> left[:, :2] = True
    >>> right[1:3, 4:] = True
    >>> found = Instances(
    ...     image_size=(4, 6),
    ...     boxes=np.array([[0, 0, 2, 4], [4, 1, 6, 3]], np.float32),
    ...     scores=np.array([0.9, 0.4], np.float32),
    ...     class_ids=np.array([7, 1], np.int64),
    ...     class_names=("mug", "box"),
    ...     packed_masks=(PackedMask.from_array(left), PackedMask.from_array(right)),
    ... )
    >>> found
    Instances(1 mug, 1 box in 6x4 pixels)
    >>> found[found.scores > 0.5]
    Instances(1 mug in 6x4 pixels)
    >>> found[-1].class_names, found[[1, 0]].class_names
    (('box',), ('box', 'mug'))
    >>> [(one.class_name, round(one.score, 1), one.packed_mask.area) for one in found]
    [('mug', 0.9, 8), ('box', 0.4, 4)]
    >>> found.masks.shape
    (2, 4, 6)

    Attributes:
        image_size: (height, width) of the image in pixels.
        boxes: (N, 4) float32 x1, y1, x2, y2 in pixels, within the image.
        scores: (N,) float32 class probabilities in [0, 1].
        class_ids: (N,) int64, 0-based, background not counted.
        class_names: One name per instance.
        packed_masks: One mask per instance, each within the image.
        mask_scores: (N,) float32 predicted mask IoU, or None without a mask-IoU head.

    Raises:
        ValueError: Lengths, shapes or types do not match, or a mask lies outside the image.
    """

    image_size: tuple[int, int]
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    packed_masks: tuple[PackedMask, ...]
    mask_scores: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.packed_masks)
        _check_array("boxes", self.boxes, (count, 4), np.float32)
        _check_array("scores", self.scores, (count,), np.float32)
        _check_array("class_ids", self.class_ids, (count,), np.int64)
        if self.mask_scores is not None:
            _check_array("mask_scores", self.mask_scores, (count,), np.float32)
        if len(self.class_names) != count:
            raise ValueError(f"class_names: expected {count} names, got {len(self.class_names)}")
        height, width = self.image_size
        for mask in self.packed_masks:
            if mask.y_offset + mask.height > height or mask.x_offset + mask.width > width:
                raise ValueError(
                    f"packed_masks: expected masks within {width}x{height} pixels, got {mask}"
                )

    def __len__(self) -> int:
        return len(self.packed_masks)

    def __repr__(self) -> str:
        counts = Counter(self.class_names).most_common()
        found = ", ".join(f"{count} {name}" for name, count in counts) or "none"
        height, width = self.image_size
        return f"Instances({found} in {width}x{height} pixels)"

    def __getitem__(
        self, index: int | slice | Sequence[int] | Sequence[bool] | npt.NDArray[Any]
    ) -> Instances:
        """Select instances, in the order of the index.

        Args:
            index: An integer, which gives one instance, a slice, integers, or a bool per instance.

        Raises:
            IndexError: An integer is out of range, or the number of bools is not N.
        """
        if isinstance(index, Sequence):
            # NumPy would take a tuple for one index per axis, and an empty list for floats.
            index = np.asarray(index) if len(index) else np.zeros(0, np.int64)
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return Instances(
            image_size=self.image_size,
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            class_ids=self.class_ids[chosen],
            class_names=tuple(self.class_names[i] for i in chosen),
            packed_masks=tuple(self.packed_masks[i] for i in chosen),
            mask_scores=None if self.mask_scores is None else self.mask_scores[chosen],
        )

    def __iter__(self) -> Iterator[Instance]:
        """Yield each instance, best score first."""
        for i, mask in enumerate(self.packed_masks):
            yield Instance(
                box=self.boxes[i],
                score=float(self.scores[i]),
                class_id=int(self.class_ids[i]),
                class_name=self.class_names[i],
                packed_mask=mask,
                mask_score=None if self.mask_scores is None else float(self.mask_scores[i]),
            )

    @property
    def masks(self) -> npt.NDArray[np.bool_]:
        """(N, H, W) bool, unpacked at each call: N times the image in memory."""
        masks = np.zeros((len(self), *self.image_size), dtype=bool)
        for mask, packed in zip(masks, self.packed_masks, strict=True):
            mask[packed.rectangle] = packed.to_array()
        return masks

    def without_empty_masks(self) -> Instances:
        """Select the instances whose mask has at least one pixel."""
        if not any(mask.empty for mask in self.packed_masks):
            return self
        return self[[not mask.empty for mask in self.packed_masks]]

    def instance_map(self) -> npt.NDArray[np.uint16]:
        """Paint (H, W) uint16: 0 background, k the k-th instance (from 1), better scores on top."""
        return self._paint(np.arange(1, len(self) + 1), background=0, dtype=np.uint16)

    def class_map(self) -> npt.NDArray[np.uint8]:
        """Paint (H, W) uint8: the class id of the best instance at each pixel, 255 for background.

        Class ids of 255 and above do not fit and are left out.
        """
        return self._paint(self.class_ids, background=BACKGROUND_CLASS, dtype=np.uint8)

    def confidence_map(self) -> npt.NDArray[np.uint8]:
        """Paint (H, W) uint8: 255 times the score of the best instance at each pixel, or 0."""
        values = np.rint(self.scores * np.float32(255)).astype(np.int64)
        return self._paint(values, background=0, dtype=np.uint8)

    def _paint(self, values: npt.NDArray[Any], background: int, dtype: Any) -> npt.NDArray[Any]:
        limit = int(np.iinfo(dtype).max)
        canvas = np.full(self.image_size, background, dtype=dtype)
        # From the worst to the best score, so that the better one ends on top.
        for value, packed in zip(values[::-1], self.packed_masks[::-1], strict=True):
            if value <= limit:
                canvas[packed.rectangle][packed.to_array()] = value
        return canvas


@dataclass(frozen=True, eq=False, repr=False)
class Objects:
    """Hold the M objects in space that were measured from the N instances of one image.

    Each is the box around the visible surface of its instance: what is hidden is not in it. A box
    reaches from the 2nd to the 98th percentile of its points along each of its axes. All lengths
    are metres in the frame of the camera: x right, y down, z along the optical axis.

    Attributes:
        instances: (M,) int64, rising: k for the k-th of the `Instances`, counted from 1.
        centres: (M, 3) float64 x, y, z of the boxes' centres.
        sizes: (M, 3) float64 edges along the boxes' own axes, 0 or more.
        orientations: (M, 4) float64 unit quaternions x, y, z, w that turn the camera's axes into
            the boxes' own. Without a direction that is up, these are the camera's; with it, the
            third one is up and the first one goes along the longer horizontal edge.
        covariances: (M, 6, 6) float64 of x, y, z and of small rotations about x, y, z of the
            camera's frame, in the order of geometry_msgs/PoseWithCovariance, in square metres and
            square radians. Angles of which nothing is known have the variance pi^2 / 12, that of a
            uniform distribution over half a turn.
        coverages: (M,) float32 share of the mask's pixels with usable depth, 0 to 1.
        points: (M,) int64 points that the box was made of; large masks are sampled.

    Raises:
        ValueError: Lengths, shapes or types do not match, or a value is not finite or not in its
            range.
    """

    instances: npt.NDArray[np.int64]
    centres: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.float64]
    orientations: npt.NDArray[np.float64]
    covariances: npt.NDArray[np.float64]
    coverages: npt.NDArray[np.float32]
    points: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.instances)
        _check_array("instances", self.instances, (count,), np.int64)
        _check_array("centres", self.centres, (count, 3), np.float64)
        _check_array("sizes", self.sizes, (count, 3), np.float64)
        _check_array("orientations", self.orientations, (count, 4), np.float64)
        _check_array("covariances", self.covariances, (count, 6, 6), np.float64)
        _check_array("coverages", self.coverages, (count,), np.float32)
        _check_array("points", self.points, (count,), np.int64)
        for name in ("centres", "sizes", "orientations", "covariances"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name}: expected finite numbers, got {getattr(self, name)}")
        lengths = np.linalg.norm(self.orientations, axis=1)
        variances = np.diagonal(self.covariances, axis1=1, axis2=2)
        for name, values, sound in (
            ("instances", self.instances, (np.diff(self.instances, prepend=0) > 0).all()),
            ("sizes", self.sizes, (self.sizes >= 0).all()),
            ("orientations", self.orientations, (np.abs(lengths - 1) < 1e-6).all()),
            ("covariances", self.covariances, (variances >= 0).all()),
            ("coverages", self.coverages, ((self.coverages >= 0) & (self.coverages <= 1)).all()),
            ("points", self.points, (self.points >= 1).all()),
        ):
            if not sound:
                raise ValueError(f"{name}: a value is out of its range in {values}")

    @classmethod
    def none(cls) -> Objects:
        """No objects."""
        return cls(
            instances=np.zeros(0, np.int64),
            centres=np.zeros((0, 3)),
            sizes=np.zeros((0, 3)),
            orientations=np.zeros((0, 4)),
            covariances=np.zeros((0, 6, 6)),
            coverages=np.zeros(0, np.float32),
            points=np.zeros(0, np.int64),
        )

    def centres_by_instance(self, count: int) -> npt.NDArray[np.float64]:
        """Return the (N, 3) centres of the `count` instances; NaN where there is no object.

        Raises:
            ValueError: There is an object of a later instance.
        """
        if len(self) and self.instances[-1] > count:
            raise ValueError(
                f"objects: expected those of {count} instances, got one of instance "
                f"{self.instances[-1]}"
            )
        centres = np.full((count, 3), np.nan)
        centres[self.instances - 1] = self.centres
        return centres

    def __len__(self) -> int:
        return len(self.instances)

    def __repr__(self) -> str:
        return f"Objects({len(self)} of the instances {self.instances.tolist()})"


def _check_array(name: str, array: Any, shape: tuple[int, ...], dtype: type) -> None:
    if array.shape != shape or array.dtype != dtype:
        expected = f"{shape} of {np.dtype(dtype)}"
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape} of {array.dtype}")
