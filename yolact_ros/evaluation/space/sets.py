# SPDX-License-Identifier: Apache-2.0
"""Which scenes are filmed, and through which masks they are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from yolact_ros.errors import InputError
from yolact_ros.scenes import DEPTH_MODELS, SEEDS, Scene, SceneFrame
from yolact_ros.scenes.synth_set import render_scene

from ..segment_dataset import InstanceSegmenter
from .measure import Masks, Measurement, measure_frame

TRUE, NETWORK = "true", "network"
DILATED, FILLED = "dilated", "hole filled"
"""Names of masks: the true ones, the network's, and the true ones spoilt."""

NEAR, FAR = "on the table", "on the table, far"
FLOATING, BEHIND = "30 cm above the table", "behind a bottle"
"""Names of the sets of scenes."""

SAMPLED = "on the table, by pixels looked at"
"""Name of the scenes of `NEAR` whose true masks are measured by more or fewer of their pixels."""

EVERY_PIXEL = 10**9
SAMPLE_COUNTS = (300, 900, 2500, 5000, EVERY_PIXEL)
"""How many pixels of a mask are looked at in `SAMPLED`, at most."""

HOLLOW = ("ring", "bowl", "mug")
"""Kinds that hide a part of themselves, or show what is behind them."""

_FAR = (0.9, 2.0)  # metres
_SINGLE = (0.5, 1.0)
_ELEVATION = 0.3
_GAP = 0.15
_DILATION = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))  # by 3 pixels


@dataclass(frozen=True, kw_only=True)
class SpaceSettings:
    """What is measured.

    Attributes:
        scenes: Scenes of each set; of single things, of each kind: they are soon filmed, and what
            is seldom wrong needs many to be seen.
        seed: The first seed. Figures that are reported come from those of `SEEDS["figures"]`.
        sensors: Depth cameras of the things on the table near the camera; all others are filmed
            with "real" alone.

    Raises:
        InputError: A value is out of range, or a camera unknown.
    """

    scenes: int = 120
    seed: int = SEEDS["figures"].start
    sensors: tuple[str, ...] = tuple(DEPTH_MODELS)

    def __post_init__(self) -> None:
        if self.scenes < 1 or self.seed < 0:
            got = f"{self.scenes} scenes from seed {self.seed}"
            raise InputError(f"scenes: expected 1 or more from a seed of 0 or more, got {got}")
        if not self.sensors or set(self.sensors) - set(DEPTH_MODELS):
            wanted = ", ".join(DEPTH_MODELS)
            raise InputError(f"sensors: expected some of {wanted}, got {', '.join(self.sensors)}")


def measure_sets(
    segmenter: InstanceSegmenter,
    settings: SpaceSettings,
    on_scene: Callable[[], object] = lambda: None,
) -> list[Measurement]:
    """Film all sets and measure them.

    Args:
        segmenter: Whose masks are measured beside the true ones.
        settings: What is measured.
        on_scene: Called after each scene.
    """
    measured: list[Measurement] = []
    for scenes, seed, frame in _film(settings):
        if scenes in (NEAR, FAR):
            [found] = segmenter([frame.image], channel_order="rgb")
            masks = {TRUE: Masks.true(frame), NETWORK: Masks.found(frame, found)}
            if scenes == NEAR:
                true = {TRUE: masks[TRUE]}
                measured += measure_frame(
                    frame, true, "real", scenes=SAMPLED, seed=seed, samples=SAMPLE_COUNTS
                )
        else:
            masks = _spoilt(frame, scenes)
        for sensor in settings.sensors if scenes == NEAR else ("real",):
            things = measure_frame(frame, masks, sensor, scenes=scenes, seed=seed)
            # of a single thing and what is before it, only the thing
            measured += [one for one in things if scenes in (NEAR, FAR) or one.kind in HOLLOW]
        on_scene()
    return measured


def scene_count(settings: SpaceSettings) -> int:
    """Number of scenes that are filmed."""
    return (2 + 2 * len(HOLLOW)) * settings.scenes


def _film(settings: SpaceSettings) -> Iterator[tuple[str, int, SceneFrame]]:
    """Set, seed and frame of each scene; no two have the same seed."""
    seed = settings.seed
    for scenes, distance in ((NEAR, None), (FAR, _FAR)):
        for _ in range(settings.scenes):
            yield scenes, seed, render_scene(seed, distance=distance)
            seed += 1
    for scenes, gap in ((FLOATING, None), (BEHIND, _GAP)):
        for kind in HOLLOW:
            for _ in range(settings.scenes):
                scene = Scene.single(
                    seed, kind, elevation=_ELEVATION, occluder_gap=gap, distance=_SINGLE
                )
                yield scenes, seed, scene.frame(0.0)
                seed += 1


def _spoilt(frame: SceneFrame, scenes: str) -> dict[str, Masks]:
    """Masks of the single thing: the true one, grown and, if nothing is before it, filled."""
    if not frame.objects or frame.objects[0].identity != 1:
        return {}
    mask = (frame.instance_map == 1).astype(np.uint8)
    spoilt = {TRUE: mask, DILATED: cv2.dilate(mask, _DILATION)}
    if scenes == FLOATING:
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        spoilt[FILLED] = cv2.drawContours(mask.copy(), outlines, -1, 1, cv2.FILLED)
    return {name: Masks.given(frame, {0: one.view(bool)}) for name, one in spoilt.items()}
