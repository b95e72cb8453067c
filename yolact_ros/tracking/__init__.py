# SPDX-License-Identifier: Apache-2.0
"""Identities over time: the instances of one image after another go in, numbers of tracks come out.

Read `tracker` first: `Tracker.update` is all that a user calls, once for each image of a camera. In
the order of its work: `detections` chooses what is looked at, with `overlap` to leave out masks
that show the same; `tracks` is the table of what is remembered, with the Kalman filters of
`motion`; `association` says which detection is which track; `picture` tells a cut. `settings` holds
the constants. NumPy and SciPy alone.
"""

from .picture import thumbnail
from .settings import TrackerSettings
from .tracker import Tracked, Tracker

__all__ = ["Tracked", "Tracker", "TrackerSettings", "thumbnail"]
