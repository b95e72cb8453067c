# SPDX-License-Identifier: Apache-2.0
"""Masks, depth and a camera model in; objects in space and points out.

`objects(instances, depth, camera)` gives `Objects`: boxes around the visible surfaces, in the
camera's frame, with a covariance. `organised_points` and `sparse_points` give the points. Read
`objects` first. Then, in the order of a frame: `camera` gives each pixel a ray, `depth` says which
depths are believed, `support` finds the plane that things stand on, `overlaps` says whose a pixel
is that two masks have, `samples` takes points of each mask, `surface` decides which of them are the
object with the `clusters` in their depth, `boxes` and `covariance` measure it. `points` stands by
itself; `transform` brings objects into another frame; `nearby` is for who needs a rough answer at
once. Nothing needs more than NumPy and OpenCV.
"""

from .camera import Camera
from .depth import depth_in_metres
from .nearby import rough_centres
from .objects import SAMPLES, objects
from .points import organised_points, sparse_points
from .transform import Transform

__all__ = [
    "SAMPLES",
    "Camera",
    "Transform",
    "depth_in_metres",
    "objects",
    "organised_points",
    "rough_centres",
    "sparse_points",
]
