# SPDX-License-Identifier: Apache-2.0
"""The tracker of one camera."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.structures import Instances

from .association import associate
from .detections import Array, Detections
from .picture import likeness
from .settings import TrackerSettings
from .tracks import Indices, Tracks

_MAX_TRACKS = 1000  # however many detections come while no time passes
# Likeness of images one after another was 0.97 or more, that of two scenes 0.47 at most.
_CUT_LIKENESS = 0.5  # below it, the picture shows something else
_DOUBTFUL_LIKENESS = 0.7  # below it, it does if most of what was seen is not found again
_MIN_FOUND = 0.5


@dataclass(frozen=True, eq=False)
class Tracked:
    """What a tracker says of the N instances of an image.

    Attributes:
        track_ids: (N,) int64 number of the thing that each shows, the same in all images; 0 if it
            is not tracked: its score is too low, or a better instance shows the same thing.
        class_ids: (N,) int64 class that the votes of all images chose; of what is not tracked, the
            network's.
        class_names: Names of these classes.
        shares: (N,) float64 share of the thing that is seen, 0 to 1, as far as it was ever seen;
            1 of what is not tracked.
        stamp: When the image was taken, in seconds.
        cut: Whether the image shows another scene than the one before, so that all is new.
    """

    track_ids: npt.NDArray[np.int64]
    class_ids: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    shares: Array
    stamp: float
    cut: bool

    def voted(self, instances: Instances) -> Instances:
        """The same instances with the classes that were voted for."""
        return replace(instances, class_ids=self.class_ids, class_names=self.class_names)


class Tracker:
    """Recognises things from image to image; each camera needs its own.

    Attributes:
        settings: How it judges, from the next image on.

    Args:
        settings: The same.

    Example:
        >>> from yolact_ros.tracking import Tracker
        >>> tracker = Tracker()
        >>> mask = PackedMask.from_array(np.ones((20, 30), dtype=bool), 40, 50)
        >>> mug = Instances(
        ...     image_size=(480, 640),
        ...     boxes=np.array([[40, 50, 70, 70]], np.float32),
        ...     scores=np.array([0.9], np.float32),
        ...     class_ids=np.array([4]),
        ...     class_names=("mug",),
        ...     packed_masks=(mask,),
        ... )
        >>> tracker.update(mug, stamp=0.0).track_ids
        array([1])
        >>> tracker.update(mug[[]], stamp=0.1).track_ids  # hidden for a while
        array([], dtype=int64)
        >>> tracker.update(mug, stamp=0.2).track_ids
        array([1])
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self._next_id = 1
        self._names: dict[int, str] = {}
        self._stamp = 0.0
        self._image_size: tuple[int, int] | None = None
        self._thumbnail: npt.NDArray[np.float32] | None = None
        self._tracks = _no_tracks()

    def update(
        self,
        instances: Instances,
        stamp: float,
        centres: Array | None = None,
        thumbnail: npt.NDArray[np.float32] | None = None,
    ) -> Tracked:
        """Take the next image into account.

        After a jump back of the time, another size of the image or a cut, all things are new.

        Args:
            instances: What was found in the image, best score first.
            stamp: When it was taken, in seconds.
            centres: (N, 3) where each instance is in space, in metres, in the camera's frame or in
                any that is the same for all images; NaN where it is not known. None: nowhere.
            thumbnail: The image as `yolact_ros.tracking.thumbnail` shrinks it; without it, no cut
                is seen.

        Raises:
            InputError: `centres` is not of these instances, or `stamp` is not finite.
        """
        found = Detections.of(instances, centres, self.settings)
        seconds = self._pass_time(float(stamp), instances.image_size)
        tracks = self._tracks
        before = tracks.unseen <= 0
        if seconds > 0:
            tracks.predict(seconds)
            kept = tracks.unseen <= self.settings.buffer
            if not kept.all():
                tracks, before = tracks[kept], before[kept]
        diagonal = math.hypot(*instances.image_size)
        chosen = associate(tracks, found, before, self.settings, diagonal)
        cut = self._is_cut(thumbnail, chosen[before])
        if cut:
            tracks, chosen = _no_tracks(), chosen[:0]
        rows = (chosen >= 0).nonzero()[0]
        tracks.correct(rows, found, chosen[rows])
        free = found.scores >= self.settings.start_score
        free[chosen[rows]] = False
        new = free.nonzero()[0]
        if len(new):
            tracks += Tracks.new(found, new, self._next_id)
            chosen = np.concatenate([chosen, new])
            self._next_id += len(new)
        self._names |= zip(instances.class_ids.tolist(), instances.class_names, strict=True)
        self._tracks = tracks[_newest(tracks)] if len(tracks) > _MAX_TRACKS else tracks
        return self._describe(instances, tracks, found, chosen, cut)

    def _pass_time(self, stamp: float, image_size: tuple[int, int]) -> float:
        """Seconds since the last image, at most the buffer; forgets all if there is no telling."""
        if not math.isfinite(stamp):
            raise InputError(f"stamp: expected a finite number of seconds, got {stamp}")
        seconds = stamp - self._stamp
        if not 0 <= seconds <= self.settings.buffer or image_size != self._image_size:
            self._tracks, self._thumbnail = _no_tracks(), None
        self._stamp, self._image_size = stamp, image_size
        return min(seconds, self.settings.buffer)

    def _is_cut(self, thumbnail: npt.NDArray[np.float32] | None, chosen: Indices) -> bool:
        """Whether another scene is seen, by the picture and by what is found again."""
        last, self._thumbnail = self._thumbnail, thumbnail
        if last is None or thumbnail is None or last.shape != thumbnail.shape:
            return False
        alike = likeness(last, thumbnail)
        if alike < _CUT_LIKENESS:
            return True
        return alike < _DOUBTFUL_LIKENESS and (chosen >= 0).sum() < _MIN_FOUND * len(chosen)

    def _describe(
        self, instances: Instances, tracks: Tracks, found: Detections, chosen: Indices, cut: bool
    ) -> Tracked:
        ids, class_ids = np.zeros(len(instances), np.int64), instances.class_ids.copy()
        shares = np.ones(len(instances))
        seen = (chosen >= 0).nonzero()[0]
        at = found.rows[chosen[seen]]
        ids[at], class_ids[at] = tracks.ids[seen], tracks.class_ids[seen]
        shares[at] = tracks.shares[seen]
        names = tuple(self._names[one] for one in class_ids.tolist())
        return Tracked(ids, class_ids, names, shares, self._stamp, cut)


def _no_tracks() -> Tracks:
    nothing = Instances(
        image_size=(1, 1),
        boxes=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        class_ids=np.zeros(0, np.int64),
        class_names=(),
        packed_masks=(),
    )
    found = Detections.of(nothing, None, TrackerSettings())
    return Tracks.new(found, found.rows, 1)


def _newest(tracks: Tracks) -> npt.NDArray[np.bool_]:
    """Which tracks were seen last, as many as are kept."""
    kept = np.zeros(len(tracks), np.bool_)
    kept[np.argsort(tracks.unseen, kind="stable")[:_MAX_TRACKS]] = True
    return kept
