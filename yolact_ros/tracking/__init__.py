# SPDX-License-Identifier: Apache-2.0
"""Identities over time: the instances of one image after another go in, numbers of tracks come out.

Read `tracker` first: `Tracker.update` is all that a user calls, once for each image of a camera. In
the order of its work: `detections` chooses what is looked at, with `overlap` to leave out masks
that show the same; `tracks` is the table of what is remembered, with the Kalman filters of
`motion`; `association` says which detection is which track; `picture` tells a cut. `settings` holds
the constants. `in_space` goes on from there, where there is depth: velocities and sizes. NumPy and
SciPy alone.
"""

from .in_space import Moving, SpaceTracker
from .picture import thumbnail
from .settings import TrackerSettings
from .tracker import Tracked, Tracker

__all__ = ["Moving", "SpaceTracker", "Tracked", "Tracker", "TrackerSettings", "thumbnail"]
