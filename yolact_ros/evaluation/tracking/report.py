# SPDX-License-Identifier: Apache-2.0
"""Films scenes, runs the trackers over them, and shows the figures as tables."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolact_ros.errors import InputError
from yolact_ros.scenes import SEEDS, Scene
from yolact_ros.tracking import Tracker

from ..segment_dataset import InstanceSegmenter
from ..space.tables import table
from .bytetrack import ByteTrack
from .film import NETWORK, RATE, TRUE, film
from .measure import GAPS, OURS, PLAIN, Run, track, track_over_cuts

LANES, DEMO = "lanes", "demo"
"""Names of the scenes: those in which things pass before and behind one another, and the demo's."""

_LANE_SECONDS, _DEMO_SECONDS, _CUT_FRAMES = 10, 5, 5

Runs = Mapping[tuple[str, str, str], Run]
"""Runs by the names of scenes, detections and tracker."""


@dataclass(frozen=True, kw_only=True)
class TrackingSettings:
    """What is filmed.

    Attributes:
        scenes: Lane scenes of 10 s each.
        demo_scenes: Scenes of the demo, of 5 s each.
        cuts: Cuts from one scene of the demo to another.
        seed: The first seed. Figures that are reported come from those of `SEEDS["figures"]`.

    Raises:
        InputError: A value is out of range.
    """

    scenes: int = 60
    demo_scenes: int = 12
    cuts: int = 100
    seed: int = SEEDS["figures"].start

    def __post_init__(self) -> None:
        if min(self.scenes, self.demo_scenes, self.cuts) < 1 or self.seed < 0:
            raise InputError(f"expected 1 scene or more from a seed of 0 or more, got {self}")


def run_trackers(
    segmenter: InstanceSegmenter,
    settings: TrackingSettings,
    on_scene: Callable[[], object] = lambda: None,
) -> tuple[Runs, Run]:
    """Film all scenes and run the trackers over them.

    Returns:
        The runs, and that over the cuts, with the network's detections.
    """
    runs: dict[tuple[str, str, str], Run] = {}
    seed = settings.seed
    for name, make, count, seconds in (
        (LANES, Scene.lanes, settings.scenes, _LANE_SECONDS),
        (DEMO, Scene.random, settings.demo_scenes, _DEMO_SECONDS),
    ):
        for _ in range(count):
            shots = list(film(make(seed), segmenter, frames=seconds * RATE))
            for detections in (TRUE, NETWORK):
                for title, tracker in ((OURS, Tracker()), (PLAIN, ByteTrack())):
                    run = runs.setdefault((name, detections, title), Run())
                    track(run, shots, detections, tracker)
            seed += 1
            on_scene()
    cuts = Run()

    def short_scenes() -> Any:
        for number in range(settings.cuts + 1):
            yield list(film(Scene.random(seed + number), segmenter, frames=_CUT_FRAMES))
            on_scene()

    track_over_cuts(cuts, short_scenes(), NETWORK)
    return runs, cuts


def scene_count(settings: TrackingSettings) -> int:
    """Number of scenes that are filmed; each has the seed after that of the one before."""
    return settings.scenes + settings.demo_scenes + settings.cuts + 1


def describe_tracking(runs: Runs, cuts: Run, settings: TrackingSettings) -> str:
    """All figures as tables."""
    rows = []
    for (scenes, detections, tracker), run in runs.items():
        figures = run.figures()
        rows.append(
            [
                f"{scenes}, {detections} masks, {tracker}",
                f"{figures['idf1']:.3f}",
                f"{figures['detection_f1']:.3f}",
                f"{figures['switches_per_minute']:.2f}",
                f"{figures['fragments_per_minute']:.2f}",
                f"{figures['object_minutes']:.1f}",
                str(run.cuts) if tracker == OURS else "-",
                f"{np.median(run.milliseconds):.2f}",
            ]
        )
    titles = ["scenes, detections, tracker", "IDF1", "detection F1", "switches / min"]
    titles += ["fragments / min", "object min", "false cuts", "ms"]
    parts = [table(titles, rows), _gap_table(runs), _velocity_table(runs)]
    parts.append(
        f"{settings.cuts} cuts: {cuts.cuts} seen, "
        f"{cuts.kept_over_cuts} detections with a number from before"
    )
    return "\n\n".join(parts)


def _gap_table(runs: Runs) -> str:
    """How many of the things that were fully hidden kept their number."""
    limits = list(itertools.pairwise((0.0, *GAPS)))
    rows = []
    for (scenes, detections, tracker), run in runs.items():
        if scenes == LANES:
            kept = [[same for gap, same in run.gaps if low < gap <= high] for low, high in limits]
            shares = [f"{sum(some)} of {len(some)}" for some in kept]
            rows.append([f"{detections} masks, {tracker}", *shares, str(len(run.gaps))])
    titles = [f"to {high:g} s" if math.isfinite(high) else "longer" for _, high in limits]
    return table(["kept its number while hidden", *titles, "all"], rows)


def _velocity_table(runs: Runs) -> str:
    """Errors of velocities."""
    rows = []
    for (scenes, detections, tracker), run in runs.items():
        if tracker == OURS and run.velocities:
            median, p95 = np.percentile(run.velocities, (50, 95)) * 1000
            resting = np.percentile(run.resting, 95) * 1000 if run.resting else math.nan
            known = len(run.velocities) / max(1, run.well_visible)
            rows.append(
                [
                    f"{scenes}, {detections} masks",
                    *(f"{median:.0f} / {p95:.0f}", f"{resting:.0f}", f"{known:.0%}"),
                ]
            )
    return table(["velocity, at least 90 % seen", "mm/s", "at rest, p95", "known"], rows)


def write_tracking_report(text: str, runs: Runs, about: Mapping[str, Any], folder: Path) -> Path:
    """Write the tables and ``metrics.json`` to a folder; return the path of the tables."""
    figures = {", ".join(names): run.figures() for names, run in runs.items()}
    content = json.dumps({"figures": figures, **about}, indent=1)
    (folder / "metrics.json").write_text(content + "\n", encoding="utf-8")
    path = folder / "tables.md"
    path.write_text(f"{text}\n", encoding="utf-8")
    return path
