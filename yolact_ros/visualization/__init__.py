# SPDX-License-Identifier: Apache-2.0
"""Pictures for people: colours and the overlay."""

from .overlay import OverlayStyle, draw_overlay, paint_overlay
from .palette import class_color

__all__ = ["OverlayStyle", "class_color", "draw_overlay", "paint_overlay"]
