# SPDX-License-Identifier: Apache-2.0
"""Films the moving picture of README.md:  python docs/images/film.py docs/images/film.webp

Left is the camera's image with masks, boxes in space and the numbers that things keep; right are
the same boxes from above, with the way that each has come. Nothing of it is the scene's truth: all
is what the shipped network, `space` and `tracking` make of image and depth.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import cv2
import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from yolact_ros.inference import Segmenter
from yolact_ros.scenes import DEPTH_MODELS, Scene
from yolact_ros.scenes.seeds import SEEDS
from yolact_ros.space import Camera, objects
from yolact_ros.tracking import Tracker
from yolact_ros.visualization import OverlayStyle, draw_overlay
from yolact_ros.visualization.palette import track_color

FRAMES, RATE = 72, 12
MASKS = OverlayStyle(opacity=0.35, contours=False, boxes=False, labels=False)
LABELS = OverlayStyle(opacity=0.0, contours=False, boxes=False, scores=False)
SQUARE = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
CORNERS = np.array([(x, y, z) for z in (-0.5, 0.5) for x, y in SQUARE])
"""(8, 3) corners of a box of size 1: its bottom, then its top."""
EDGES = np.array([[(i, (i + 1) % 4), (i + 4, (i + 1) % 4 + 4), (i, i + 4)] for i in range(4)])
MAP_WIDTH, MAP_SCALE, MAP_BEGIN = 340, 420, 0.25  # pixels; pixels a metre; metres from the camera
GRID = 0.25  # metres
FONT, FONT_SCALE, MARGIN = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 4


class Map:
    """What is on the table, seen from above: the camera is below the middle of the lower edge."""

    def __init__(self, height: int) -> None:
        self._height = height
        self._ways: dict[int, list[np.ndarray]] = defaultdict(list)

    def draw(self, things: dict[int, np.ndarray], distances: dict[int, float]) -> np.ndarray:
        """Draw things by their numbers: (4, 2) corners to the right and away, in metres."""
        plan = np.full((self._height, MAP_WIDTH, 3), 28, np.uint8)
        for metres in np.arange(-4, 8) * GRID:
            x, y = self._pixels(np.array([metres, metres]))
            cv2.line(plan, (x, 0), (x, self._height), (52, 52, 52))
            cv2.line(plan, (0, y), (MAP_WIDTH, y), (52, 52, 52))
        for number, corners in things.items():
            self._ways[number].append(corners.mean(axis=0))
            way = self._pixels(np.array(self._ways[number]))
            cv2.polylines(plan, [way], False, bgr(number), 2, cv2.LINE_AA)
        for number, corners in things.items():
            cv2.fillConvexPoly(plan, self._pixels(corners), bgr(number), cv2.LINE_AA)
        for number, corners in things.items():
            text = f"#{number} {distances[number]:.2f} m"
            (width, height), _ = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
            outline = self._pixels(corners)
            left = round(outline[:, 0].mean() - width / 2)
            left = min(max(left, MARGIN), MAP_WIDTH - width - MARGIN)
            at = (left, int(outline[:, 1].max()) + MARGIN + height)
            for color, thickness in (((28, 28, 28), 3), ((240, 240, 240), 1)):
                cv2.putText(plan, text, at, FONT, FONT_SCALE, color, thickness, cv2.LINE_AA)
        return plan

    def _pixels(self, metres: np.ndarray) -> np.ndarray:
        right, away = np.moveaxis(metres, -1, 0)
        x, y = MAP_WIDTH / 2 + MAP_SCALE * right, self._height - MAP_SCALE * (away - MAP_BEGIN)
        return np.rint(np.stack([x, y], axis=-1)).astype(int)


class Film:
    """Films a scene, and draws what is found in it."""

    def __init__(self, seed: int) -> None:
        self._scene = Scene.lanes(SEEDS["demo"].start + seed, depth_model=DEPTH_MODELS["real"])
        k = self._scene.intrinsics
        self._camera = Camera(k.width, k.height, k.fx, k.fy, k.cx, k.cy)
        self._segmenter = Segmenter(preset="yolact_demo", device="cpu")
        self._tracker, self._map = Tracker(), Map(k.height)

    def frame(self, seconds: float) -> np.ndarray:
        """The picture of a moment: (H, W + MAP_WIDTH, 3) uint8 RGB."""
        frame = self._scene.frame(seconds)
        [found] = self._segmenter(frame.image, channel_order="rgb")
        up = frame.camera.rotation[:, 2]
        measured = objects(found, frame.depth, self._camera, up)
        rows = measured.instances - 1
        centres = np.full((len(found), 3), np.nan)
        centres[rows] = measured.centres
        tracked = self._tracker.update(found, seconds, centres)
        turns = Rotation.from_quat(measured.orientations)
        boxes = {
            int(number): centre + turn.apply(CORNERS * size)
            for number, centre, turn, size in zip(
                tracked.track_ids[rows], measured.centres, turns, measured.sizes, strict=True
            )
            if number  # what is not tracked has 0
        }

        shown = tracked.track_ids > 0
        drawn = tracked.voted(found)[shown], tracked.track_ids[shown]
        image = draw_overlay(frame.image[:, :, ::-1], drawn[0], MASKS, drawn[1])
        for number, corners in boxes.items():
            pixels = np.rint(self._camera.project(corners)).astype(int)
            cv2.polylines(image, pixels[EDGES.reshape(-1, 2)], False, bgr(number), 2, cv2.LINE_AA)
        image = draw_overlay(image, drawn[0], LABELS, drawn[1])

        ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
        ground = np.stack([np.cross(ahead, up), ahead]) / np.linalg.norm(ahead)
        plan = self._map.draw(
            {number: corners[:4] @ ground.T for number, corners in boxes.items()},
            {number: float(np.linalg.norm(box.mean(axis=0))) for number, box in boxes.items()},
        )
        return np.hstack([image, plan])[:, :, ::-1]


def bgr(number: int) -> tuple[int, int, int]:
    """The colour of a track."""
    red, green, blue = track_color(number)
    return blue, green, red


def main() -> None:
    """Write the film as a WebP file that plays for ever."""
    parser = argparse.ArgumentParser(description="Film the moving picture of README.md.")
    parser.add_argument("out", help="file to write, .webp")
    parser.add_argument("--seed", type=int, default=3, help="of the scene (default: %(default)s)")
    arguments = parser.parse_args()
    film = Film(arguments.seed)
    first, *others = (Image.fromarray(film.frame(i / RATE)) for i in range(FRAMES))
    first.save(
        arguments.out,
        save_all=True,
        append_images=others,
        duration=round(1000 / RATE),
        loop=0,
        quality=60,
        method=4,
    )


if __name__ == "__main__":
    main()
