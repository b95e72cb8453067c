# SPDX-License-Identifier: Apache-2.0
"""Pictures for people: an image and its `Instances` go in, the image with an overlay comes out.

Read `overlay` first, which draws masks, boxes and labels; `palette` gives each class and each track
its colour; `contact_sheet` arranges many pictures on one page. `figure` encodes plots.
"""

from .overlay import TRUTH_STYLE, OverlayStyle, draw_overlay, encode_jpeg, paint_overlay
from .palette import class_color, track_color

__all__ = [
    "TRUTH_STYLE",
    "OverlayStyle",
    "class_color",
    "draw_overlay",
    "encode_jpeg",
    "paint_overlay",
    "track_color",
]
