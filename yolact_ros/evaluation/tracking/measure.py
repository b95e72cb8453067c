# SPDX-License-Identifier: Apache-2.0
"""Runs trackers over films, and holds their tracks against the truth."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import motmetrics
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from yolact_ros.tracking import SpaceTracker, Tracked, Tracker
from yolact_ros.tracking.overlap import box_iou

from .bytetrack import ByteTrack
from .film import RATE, Detected, Shot, Thing

MIN_IOU = 0.5
"""IoU of boxes from which on a track is of a thing."""

MIN_VISIBLE = 0.5
"""Share of a thing that must be seen for it to count; tracks of what is seen less are ignored."""

WELL_VISIBLE = 0.9
"""Share of a thing that must be seen for its velocity to count."""

GAPS = (0.5, 1.0, 2.0, 3.0, np.inf)
"""Limits in seconds of the times for which things were hidden."""

OURS, PLAIN = "yolact_ros", "ByteTrack"
"""Names of the trackers."""

_START_SCORE = 0.5  # of the detections that the bound by detection is of


@dataclass(eq=False)
class Run:
    """What one tracker made of the scenes of a film, with one kind of detections.

    Attributes:
        accumulators: motmetrics' record of each scene.
        velocities: Errors in m/s of the velocities of things that are well visible.
        resting: Those of things at rest.
        well_visible: How often a thing was well visible and tracked.
        gaps: For each time that a thing was hidden, how long, and whether it kept its number.
        milliseconds: Time of each image.
        cuts: Number of cuts that were seen.
        true_positives, found, things: Counts of detections, for their F1 score.
        kept_over_cuts: Detections after a cut with a number from before it.
    """

    accumulators: list[Any] = field(default_factory=list)
    velocities: list[float] = field(default_factory=list)
    resting: list[float] = field(default_factory=list)
    well_visible: int = 0
    gaps: list[tuple[float, bool]] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    cuts: int = 0
    true_positives: int = 0
    found: int = 0
    things: int = 0
    kept_over_cuts: int = 0

    def figures(self) -> dict[str, float]:
        """IDF1, F1 of the detections, and switches and fragments per minute of a thing."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas' future
            summary = motmetrics.metrics.create().compute_many(
                self.accumulators,
                metrics=["idf1", "num_switches", "num_fragmentations", "num_objects"],
                names=[str(number) for number in range(len(self.accumulators))],
                generate_overall=True,
            )
        overall = summary.loc["OVERALL"]
        minutes = float(overall["num_objects"]) / RATE / 60
        return {
            "idf1": float(overall["idf1"]),
            "detection_f1": 2 * self.true_positives / max(1, self.found + self.things),
            "switches_per_minute": float(overall["num_switches"]) / minutes,
            "fragments_per_minute": float(overall["num_fragmentations"]) / minutes,
            "object_minutes": minutes,
        }


def track(run: Run, shots: Iterable[Shot], detections: str, tracker: Tracker | ByteTrack) -> None:
    """Add a scene to a run, with a tracker that may know earlier scenes."""
    accumulator, in_space = motmetrics.MOTAccumulator(auto_id=True), SpaceTracker()
    last_id: dict[int, int] = {}
    hidden: dict[int, float] = {}
    for shot in shots:
        given = shot.detected[detections]
        begin = time.perf_counter()
        velocities = np.full((len(given.instances), 3), np.nan)
        if isinstance(tracker, ByteTrack):
            ids = tracker.update(given.instances)
        else:
            tracked = _recognise(tracker, shot.stamp, given, shot.thumbnail)
            ids = tracked.track_ids
            moving = in_space.update(tracked, given.objects)
            velocities[given.objects.instances - 1] = moving.velocities
            run.cuts += tracked.cut
        run.milliseconds.append(1000 * (time.perf_counter() - begin))
        shown = np.flatnonzero(ids)
        things, rows, distances = _compare(shot.things, given.instances.boxes, shown)
        accumulator.update([thing.identity for thing in things], ids[rows].tolist(), distances)
        certain = shown[given.instances.scores[shown] >= _START_SCORE]
        _, counted, near = _compare(shot.things, given.instances.boxes, certain)
        run.true_positives += len(_pairs(near))
        run.found += len(counted)
        run.things += len(things)
        for thing in shot.things:
            if thing.hidden:
                hidden[thing.identity] = thing.hidden
        for index, place in _pairs(distances):
            thing, row = things[index], int(rows[place])
            number = int(ids[row])
            if thing.identity in hidden:
                seconds = hidden.pop(thing.identity)
                if thing.identity in last_id:
                    run.gaps.append((seconds, last_id[thing.identity] == number))
            last_id[thing.identity] = number
            if thing.visible >= WELL_VISIBLE:
                run.well_visible += 1
                if np.isfinite(velocities[row]).all():
                    error = float(np.linalg.norm(velocities[row] - thing.velocity))
                    run.velocities.append(error)
                    run.resting += [error] * thing.resting
    run.accumulators.append(accumulator)


def _recognise(
    tracker: Tracker, stamp: float, given: Detected, thumbnail: npt.NDArray[np.float32]
) -> Tracked:
    centres = given.objects.centres_by_instance(len(given.instances))
    return tracker.update(given.instances, stamp, centres, thumbnail)


def _compare(
    things: Sequence[Thing], boxes: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]
) -> tuple[list[Thing], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The things that count, the rows that are not of one that does not, and their distances.

    The distance is 1 - IoU, NaN where a box is not of a thing: motmetrics' own function for it
    fails with NumPy 2, and with no boxes.
    """
    truth = np.array([thing.box for thing in things], np.float32).reshape(-1, 4)
    distances = 1 - box_iou(truth, boxes[rows])
    distances[distances > 1 - MIN_IOU] = np.nan
    counts = np.array([thing.visible >= MIN_VISIBLE for thing in things], np.bool_)
    ignored = [place for index, place in _pairs(distances) if not counts[index]]
    kept = np.ones(len(rows), np.bool_)
    kept[ignored] = False
    chosen = [thing for thing, count in zip(things, counts, strict=True) if count]
    return chosen, rows[kept], distances[counts][:, kept]


def _pairs(distances: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """The best pairs, one to one, of those whose distance is not NaN."""
    first, second = linear_sum_assignment(np.where(np.isnan(distances), 10.0, distances))
    made = ~np.isnan(distances[first, second])
    return list(zip(first[made].tolist(), second[made].tolist(), strict=True))


def track_over_cuts(run: Run, scenes: Iterable[Sequence[Shot]], detections: str) -> None:
    """Let one tracker see scenes one after another, and count what it takes along."""
    tracker, known, stamp = Tracker(), set[int](), 0.0
    for shots in scenes:
        now: set[int] = set()
        for shot in shots:
            given = shot.detected[detections]
            stamp += 1 / RATE
            tracked = _recognise(tracker, stamp, given, shot.thumbnail)
            run.cuts += tracked.cut
            ids = [number for number in tracked.track_ids.tolist() if number]
            run.kept_over_cuts += sum(number in known for number in ids)
            now |= set(ids)
        known |= now
