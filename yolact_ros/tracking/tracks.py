# SPDX-License-Identifier: Apache-2.0
"""The table of the things that a tracker remembers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .detections import Array, Detections
from .motion import Motion

Indices = npt.NDArray[np.int64]

# In the image, in sizes of the box: standard deviations of a centre and of the speed of a new
# thing, and the root of the spectral density of the acceleration. Per second, or its powers.
_CENTRE, _SPEED, _ACCELERATION = 0.04, 1.5, 1.0
_FADING = 1.0  # per second: how fast the velocity of what is not seen is given up
_SIZE_GAIN = 0.5  # share of a new size that is taken over

_PARTLY = 0.8  # share below which the middle of what is seen says little of the thing
_SHRINKING = 0.5  # per second: how fast the greatest area follows one that stays less


@dataclass(eq=False)
class Tracks:
    """T things that were seen.

    Attributes:
        ids: (T,) int64 their numbers, from 1, rising.
        class_ids: (T,) int64 the classes that won the votes.
        votes: For each thing, the sum of the scores by class, each times the share that was seen.
        unseen: (T,) seconds since each was seen.
        areas: (T,) number of pixels of the whole, as far as it was seen.
        sizes: (T, 2) width and height of the box in pixels.
        image: Motion of the box's centre in the image, (T, 2).
        shares: (T,) share of the whole that was seen when it was seen last, 0 to 1.
        located: (T,) bool, whether it was ever known where it is in space.
        places: (T, 3) where it was then in metres; 0 if it was never known.
        place_ages: (T,) seconds since then.
    """

    ids: Indices
    class_ids: Indices
    votes: list[dict[int, float]]
    unseen: Array
    areas: Array
    sizes: Array
    image: Motion
    shares: Array
    located: npt.NDArray[np.bool_]
    places: Array
    place_ages: Array

    @classmethod
    def new(cls, found: Detections, chosen: Indices, first_id: int) -> Tracks:
        """Things that were seen for the first time: some of the detections."""
        sizes, scores = found.sizes[chosen], found.scores[chosen].tolist()
        class_ids = found.class_ids[chosen]
        return cls(
            ids=np.arange(first_id, first_id + len(chosen), dtype=np.int64),
            class_ids=class_ids,
            votes=[{one: score} for one, score in zip(class_ids.tolist(), scores, strict=True)],
            unseen=np.zeros(len(chosen)),
            areas=found.areas[chosen],
            sizes=sizes,
            image=Motion.at(found.centres[chosen], (_CENTRE * sizes) ** 2, (_SPEED * sizes) ** 2),
            shares=np.ones(len(chosen)),
            located=found.located[chosen],
            places=found.places[chosen],
            place_ages=np.zeros(len(chosen)),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, kept: npt.NDArray[np.bool_]) -> Tracks:
        """Some of the things."""
        return Tracks(
            ids=self.ids[kept],
            class_ids=self.class_ids[kept],
            votes=[one for one, keep in zip(self.votes, kept.tolist(), strict=True) if keep],
            unseen=self.unseen[kept],
            areas=self.areas[kept],
            sizes=self.sizes[kept],
            image=self.image[kept],
            shares=self.shares[kept],
            located=self.located[kept],
            places=self.places[kept],
            place_ages=self.place_ages[kept],
        )

    def __add__(self, other: Tracks) -> Tracks:
        """These things, then those."""
        return Tracks(
            ids=np.concatenate([self.ids, other.ids]),
            class_ids=np.concatenate([self.class_ids, other.class_ids]),
            votes=self.votes + other.votes,
            unseen=np.concatenate([self.unseen, other.unseen]),
            areas=np.concatenate([self.areas, other.areas]),
            sizes=np.concatenate([self.sizes, other.sizes]),
            image=self.image + other.image,
            shares=np.concatenate([self.shares, other.shares]),
            located=np.concatenate([self.located, other.located]),
            places=np.concatenate([self.places, other.places]),
            place_ages=np.concatenate([self.place_ages, other.place_ages]),
        )

    @property
    def boxes(self) -> Array:
        """(T, 4) where the boxes are expected: x1, y1, x2, y2 in pixels."""
        half = 0.5 * self.sizes
        return np.hstack([self.image.position - half, self.image.position + half])

    @property
    def spans(self) -> Array:
        """(T,) sizes of the boxes, in pixels."""
        return np.sqrt(self.sizes[:, 0] * self.sizes[:, 1])

    def predict(self, seconds: float) -> None:
        """Let time pass: more than 0 seconds."""
        lost = self.unseen > 0
        self.image.predict(seconds, (_ACCELERATION * self.spans[:, None]) ** 2)
        self.image.velocity[lost] *= np.exp(-_FADING * seconds)
        self.unseen += seconds
        self.place_ages += seconds

    def correct(self, rows: Indices, found: Detections, chosen: Indices) -> None:
        """Take detections of some things into account.

        Args:
            rows: (M,) which things, none twice.
            found: The detections.
            chosen: (M,) the detection of each.
        """
        areas, sizes = found.areas[chosen], found.sizes[chosen]
        share = np.minimum(areas / self.areas[rows], 1.0)
        follow = np.where(share < 1, 1 - np.exp(-_SHRINKING * self.unseen[rows]), 1.0)
        self.areas[rows] += follow * (areas - self.areas[rows])
        self.shares[rows] = share
        self.sizes[rows] += _SIZE_GAIN * (sizes - self.sizes[rows])
        doubt: Array = np.where(share < _PARTLY, 2.0, 1.0)[:, None]
        self.image.correct(rows, found.centres[chosen], np.square(_CENTRE * doubt * sizes))
        self.unseen[rows] = 0
        located = found.located[chosen]
        self.located[rows[located]] = True
        self.places[rows[located]] = found.places[chosen[located]]
        self.place_ages[rows[located]] = 0
        self._vote(rows, found, chosen, share)

    def _vote(self, rows: Indices, found: Detections, chosen: Indices, share: Array) -> None:
        weights = (found.scores[chosen] * share).tolist()
        class_ids = found.class_ids[chosen].tolist()
        for row, class_id, weight in zip(rows.tolist(), class_ids, weights, strict=True):
            votes = self.votes[row]
            votes[class_id] = votes.get(class_id, 0.0) + weight
            if votes[class_id] > votes[int(self.class_ids[row])]:
                self.class_ids[row] = class_id
