# SPDX-License-Identifier: Apache-2.0
"""Velocities and sizes in space of what a camera's tracker recognises."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from yolact_ros.errors import InputError
from yolact_ros.structures import Objects

from .detections import Array
from .motion import Motion
from .tracker import Tracked

# In metres and seconds.
_CENTRE, _SPEED, _ACCELERATION = 0.002, 0.3, 0.08
_SHIFT = 0.3  # by which the centre of a surface is off, if almost all of it is hidden
_FADING = 1.0  # per second: how fast the velocity of what is not seen is given up
_KNOWN_SPEED = 0.1  # standard deviation up to which a velocity is known
_MAX_THINGS = 1000  # however many come while no time passes
_WHOLE = 0.9  # share of a thing from which on nothing of it seems to be hidden


@dataclass(frozen=True, eq=False)
class Moving:
    """How the M objects of an image move.

    Attributes:
        velocities: (M, 3) float64 in m/s, in the frame of the objects; NaN where not known.
        covariances: (M, 3, 3) float64 of the velocities in m^2/s^2, NaN alike.
        sizes: (M, 3) float64 edges of the boxes along their axes in metres, as they were when
            nothing of the thing seemed to be hidden.
    """

    velocities: Array
    covariances: Array
    sizes: Array


@dataclass(eq=False)
class _Things:
    """T things that were measured: when, where, how large and how they lay when seen whole."""

    row_of: dict[int, int]  # by their numbers, in the order of the rows
    unseen: Array  # (T,) seconds
    motion: Motion  # (T, 3)
    sizes: Array  # (T, 3)
    orientations: Array  # (T, 4)


def _nothing() -> _Things:
    none = np.zeros((0, 3))
    return _Things({}, np.zeros(0), Motion.at(none, none, none), none, np.zeros((0, 4)))


@dataclass(eq=False)
class SpaceTracker:
    """Measures how what a `Tracker` recognises moves in space; each camera needs its own.

    It may get an image later than the tracker does, and need not get each of them. The objects may
    be in any frame that is the same for all images: in that of a camera that moves, things at rest
    have a velocity. After a jump back of the time all things are new.

    Attributes:
        buffer: Seconds for which a thing that is not seen is remembered.
    """

    buffer: float = 3.0
    _stamp: float = -np.inf
    _things: _Things = field(default_factory=_nothing)

    def update(self, tracked: Tracked, objects: Objects) -> Moving:
        """Take the objects of an image into account.

        While what is seen of a thing gets less, its velocity and its size are held: the middle of
        the rest moves, although the thing may not.

        Args:
            tracked: What the tracker said of the instances of the image.
            objects: What was measured of these instances.

        Raises:
            InputError: The objects are of other instances.
        """
        instances = objects.instances - 1
        if len(instances) and instances[-1] >= len(tracked.track_ids):
            raise InputError(
                f"objects: expected those of the {len(tracked.track_ids)} instances, got one of "
                f"instance {objects.instances[-1]}"
            )
        self._pass_time(tracked.stamp)
        ids = tracked.track_ids[instances]
        at = np.flatnonzero(ids)
        ids, shares = ids[at], tracked.shares[instances[at]]
        known = np.array([one in self._things.row_of for one in ids.tolist()], np.bool_)
        self._correct(ids[known], objects, at[known], shares[known])
        self._add(ids[~known], objects, at[~known])
        return self._describe(ids, objects, at, shares)

    def _pass_time(self, stamp: float) -> None:
        seconds, self._stamp = stamp - self._stamp, stamp
        if not 0 <= seconds <= self.buffer:
            self._things = _nothing()
        things = self._things
        if seconds > 0 and things.row_of:
            lost = things.unseen > 0
            things.motion.predict(seconds, np.array(_ACCELERATION**2))
            things.motion.velocity[lost] *= np.exp(-_FADING * seconds)
            things.unseen += seconds
        kept = things.unseen <= self.buffer
        kept[:-_MAX_THINGS] = False
        if not kept.all():
            numbers = [one for one, row in things.row_of.items() if kept[row]]
            self._things = _Things(
                {one: row for row, one in enumerate(numbers)},
                things.unseen[kept],
                things.motion[kept],
                things.sizes[kept],
                things.orientations[kept],
            )

    def _correct(
        self, ids: npt.NDArray[np.int64], objects: Objects, at: npt.NDArray[np.int64], shares: Array
    ) -> None:
        things = self._things
        rows = self._rows(ids)
        hidden = np.where(shares < _WHOLE, 1 - shares, 0.0)[:, None]
        variances = _variances(objects)[at] + (_SHIFT * hidden) ** 2
        things.motion.correct(rows, objects.centres[at], variances)
        things.unseen[rows] = 0
        whole = shares >= _WHOLE
        things.sizes[rows[whole]] = objects.sizes[at[whole]]
        things.orientations[rows[whole]] = objects.orientations[at[whole]]

    def _add(self, ids: npt.NDArray[np.int64], objects: Objects, at: npt.NDArray[np.int64]) -> None:
        things = self._things
        count = len(things.row_of)
        motion = Motion.at(objects.centres[at], _variances(objects)[at], np.array(_SPEED**2))
        self._things = _Things(
            things.row_of | {one: count + i for i, one in enumerate(ids.tolist())},
            np.concatenate([things.unseen, np.zeros(len(ids))]),
            things.motion + motion,
            np.concatenate([things.sizes, objects.sizes[at]]),
            np.concatenate([things.orientations, objects.orientations[at]]),
        )

    def _describe(
        self, ids: npt.NDArray[np.int64], objects: Objects, at: npt.NDArray[np.int64], shares: Array
    ) -> Moving:
        things = self._things
        rows = self._rows(ids)
        velocities = np.full((len(objects), 3), np.nan)
        covariances = np.full((len(objects), 3, 3), np.nan)
        variances = things.motion.velocity_variance[rows]
        known = variances.max(axis=1, initial=0) < _KNOWN_SPEED**2
        velocities[at[known]] = things.motion.velocity[rows[known]]
        covariances[at[known]] = variances[known][:, :, None] * np.eye(3)
        sizes = objects.sizes.copy()
        held = shares < _WHOLE
        rows, at = rows[held], at[held]
        sizes[at] = _along(things.sizes[rows], things.orientations[rows], objects.orientations[at])
        return Moving(velocities, covariances, sizes)

    def _rows(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.array([self._things.row_of[one] for one in ids.tolist()], np.int64)


def _variances(objects: Objects) -> Array:
    """(M, 3) of the centres."""
    axes = np.arange(3)
    return np.maximum(objects.covariances[:, axes, axes], _CENTRE**2)


def _along(sizes: Array, then: Array, now: Array) -> Array:
    """Sizes (K, 3) along the axes of boxes as they lie now, of boxes that lay in another way.

    The axes of a box may swap from image to image: its first one is the longer.
    """
    if not len(sizes):
        return sizes
    turn = np.abs((Rotation.from_quat(now).inv() * Rotation.from_quat(then)).as_matrix())
    return np.take_along_axis(sizes, turn.argmax(axis=2), axis=1)
