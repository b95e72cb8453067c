# SPDX-License-Identifier: Apache-2.0
"""Masks to polygons, which annotation tools can edit."""

from __future__ import annotations

import cv2
import numpy as np

from yolact_ros.structures import PackedMask

_TOLERANCE = 0.5
"""Pixels that a polygon may be off the outline: less than the corner of the smallest, one pixel."""


def mask_polygons(mask: PackedMask) -> list[list[int]]:
    """Outline a mask, each connected part by one polygon; holes are filled.

    The polygons run along the edges of the pixels, as in COCO: what they enclose is the mask again,
    but for holes and for half a pixel where an edge is oblique.

    Returns:
        For each part x1, y1, x2, y2, ... in pixels of the image, three points or more.
    """
    # All corners of the mask's pixels, one row and column more than pixels: their outline is that
    # of the pixels, and encloses an area however small the part.
    pixels = np.pad(mask.to_array().view(np.uint8), ((0, 1), (0, 1)))
    corners = cv2.dilate(pixels, np.ones((2, 2), np.uint8), anchor=(1, 1))
    outlines, _ = cv2.findContours(corners, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    offset = np.array([mask.x_offset, mask.y_offset])
    return [
        (cv2.approxPolyDP(outline, _TOLERANCE, True).reshape(-1, 2) + offset).ravel().tolist()
        for outline in outlines
    ]
