# SPDX-License-Identifier: Apache-2.0
"""Draws instances onto their image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.structures import Instances, PackedMask

from .palette import class_color, track_color

Color = tuple[int, int, int]
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_JPEG_QUALITY = 85


@dataclass(frozen=True)
class OverlayStyle:
    """The elements of an overlay.

    Attributes:
        opacity: Opacity of the masks' fill, 0 (none) to 1 (solid).
        contours: Whether to outline masks.
        boxes: Whether to draw boxes.
        labels: Whether to write class names.
        scores: Whether to write scores after class names.
    """

    opacity: float = 0.45
    contours: bool = True
    boxes: bool = True
    labels: bool = True
    scores: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise InputError(f"opacity: expected 0 to 1, got {self.opacity}")


TRUTH_STYLE = OverlayStyle(boxes=False, scores=False)
"""How ground truth is drawn: it has no scores, and boxes would hide the masks' edges."""


def draw_overlay(
    image: npt.NDArray[np.uint8],
    instances: Instances,
    style: OverlayStyle | None = None,
    track_ids: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.uint8]:
    """Draw instances onto a copy of their image, better scores on top.

    Args:
        image: (H, W, 3) uint8 BGR.
        instances: Instances of that image.
        style: Elements to draw; None: all of them.
        track_ids: (N,) the number of each, which gives its colour and stands in its label; 0, if it
            is not tracked. None: the class gives the colour.

    Returns:
        (H, W, 3) uint8 BGR, contiguous.

    Raises:
        InputError: The instances belong to an image of another size.

    Example:
        >>> import numpy as np
        >>> from yolact_ros.structures import Instances, PackedMask
        >>> mask = np.zeros((48, 64), bool)
        >>> mask[10:30, 20:50] = True
        >>> instances = Instances(
        ...     image_size=(48, 64),
        ...     boxes=np.array([[20, 10, 50, 30]], np.float32),
        ...     scores=np.array([0.9], np.float32),
        ...     class_ids=np.array([4]),
        ...     class_names=("mug",),
        ...     packed_masks=(PackedMask.from_array(mask),),
        ... )
        >>> image = np.zeros((48, 64, 3), np.uint8)
        >>> drawn = draw_overlay(image, instances)
        >>> bool(drawn[20, 35].any()), bool(image.any())
        (True, False)
    """
    canvas = np.array(image, order="C")
    paint_overlay(canvas, instances, style, track_ids)
    return canvas


def paint_overlay(
    canvas: npt.NDArray[np.uint8],
    instances: Instances,
    style: OverlayStyle | None = None,
    track_ids: npt.NDArray[np.int64] | None = None,
) -> None:
    """Draw like `draw_overlay`, but onto the image itself, which must be contiguous."""
    if canvas.shape[:2] != instances.image_size:
        raise InputError(
            f"image: expected the instances' size {instances.image_size}, got {canvas.shape[:2]}"
        )
    style = style or OverlayStyle()
    side = min(canvas.shape[:2])
    worst_first = range(len(instances) - 1, -1, -1)
    colors = [
        _bgr(class_color(class_id) if track_ids is None else track_color(int(track_ids[i])))
        for i, class_id in enumerate(instances.class_ids.tolist())
    ]
    corners = [[round(float(value)) for value in box] for box in instances.boxes]
    # In layers: neither a mask nor a box line may cross the label of another instance.
    for i in worst_first:
        _paint_mask(canvas, instances.packed_masks[i], colors[i], style, max(1, round(side / 240)))
    for i in worst_first if style.boxes else ():
        cv2.rectangle(canvas, corners[i][:2], corners[i][2:], colors[i], max(1, round(side / 360)))
    for i in worst_first if style.labels else ():
        text = instances.class_names[i]
        if track_ids is not None and track_ids[i]:
            text += f" #{track_ids[i]}"
        if style.scores:
            text += f" {instances.scores[i]:.2f}"
        _draw_label(canvas, text, corners[i][0], corners[i][1], colors[i])


def encode_jpeg(image: npt.NDArray[np.uint8], quality: int = _JPEG_QUALITY) -> bytes:
    """Encode an (H, W, 3) uint8 BGR image as a JPEG file of a quality from 1 to 100."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return bytes(data)


def _bgr(color: Color) -> Color:
    red, green, blue = color
    return blue, green, red


def _paint_mask(
    canvas: npt.NDArray[np.uint8],
    packed: PackedMask,
    color: Color,
    style: OverlayStyle,
    thickness: int,
) -> None:
    """Tint a mask and outline it on the inside; only its rectangle is touched."""
    if packed.empty:
        return
    mask = packed.to_array().view(np.uint8)
    region = canvas[packed.rectangle]
    paint = np.empty(region.shape, np.uint8)
    # By rows, which are copied whole: NumPy takes fifty times as long pixel by pixel.
    paint[:] = np.full((packed.width, 3), color, np.uint8)
    if style.opacity > 0:
        blended = cv2.addWeighted(region, 1 - style.opacity, paint, style.opacity, 0)
        cv2.copyTo(blended, mask, region)
    if style.contours:
        # The outermost pixel keeps the tint alone, which softens the line's steps. To draw it as a
        # smoothed line costs more than all the rest together.
        outer = _shrink(mask, 1) if style.opacity > 0 else mask
        inner = _shrink(outer, max(1, thickness - 1))
        cv2.copyTo(paint, cv2.subtract(outer, inner), region)


def _shrink(mask: npt.NDArray[np.uint8], pixels: int) -> npt.NDArray[np.uint8]:
    """Erode a mask by so many pixels; the border of its rectangle counts as its border."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    shrunk = cv2.erode(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(shrunk, dtype=np.uint8)


def _draw_label(canvas: npt.NDArray[np.uint8], text: str, x: int, y: int, color: Color) -> None:
    height, width = canvas.shape[:2]
    scale = max(0.35, min(height, width) / 960)
    (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, scale, 1)
    pad = max(2, round(3 * scale))
    box_width, box_height = text_width + 2 * pad, text_height + baseline + 2 * pad
    # Above the box where there is room, else inside it; never beyond the image.
    top = y - box_height if y >= box_height else y
    left = max(0, min(x, width - box_width))
    top = max(0, min(top, height - box_height))
    cv2.rectangle(canvas, (left, top), (left + box_width, top + box_height), color, cv2.FILLED)
    # Black or white, whichever stands out more from the class colour (Rec. 601 luma).
    blue, green, red = color
    ink = (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 120 else (255, 255, 255)
    origin = (left + pad, top + pad + text_height)
    cv2.putText(canvas, text, origin, _FONT, scale, ink, 1, cv2.LINE_AA)
