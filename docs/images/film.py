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
STYLE = OverlayStyle(opacity=0.35, boxes=False, scores=False)
CORNERS = (
    np.array([(x, y, z) for z in (-1, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]) / 2
)
"""(8, 3) corners of a box of size 1: its bottom, then its top."""
EDGES = [(k + i, k + (i + 1) % 4) for k in (0, 4) for i in range(4)] + [
    (i, i + 4) for i in range(4)
]
MAP_WIDTH, MAP_SCALE, MAP_BEGIN = 340, 360, 0.3  # pixels; pixels per metre; metres from the camera
GRID = 0.25  # metres


class Film:
    """Draws one frame after another."""

    def __init__(self, seed: int) -> None:
        self._scene = Scene.lanes(SEEDS["demo"].start + seed, depth_model=DEPTH_MODELS["real"])
        k = self._scene.intrinsics
        self._camera = Camera(k.width, k.height, k.fx, k.fy, k.cx, k.cy)
        self._segmenter = Segmenter(preset="yolact_demo", device="cpu")
        self._tracker = Tracker()
        self._ways: dict[int, list[np.ndarray]] = defaultdict(list)

    def frame(self, seconds: float) -> np.ndarray:
        """What is found at a time: (H, W + MAP_WIDTH, 3) uint8 RGB."""
        frame = self._scene.frame(seconds)
        [found] = self._segmenter(frame.image, channel_order="rgb")
        up = frame.camera.rotation[:, 2]
        measured = objects(found, frame.depth, self._camera, up)
        rows = measured.instances - 1
        centres = np.full((len(found), 3), np.nan)
        centres[rows] = measured.centres
        tracked = self._tracker.update(found, seconds, centres)
        shown = tracked.track_ids > 0
        image = draw_overlay(
            frame.image[:, :, ::-1], tracked.voted(found)[shown], STYLE, tracked.track_ids[shown]
        )
        plan = self._empty_map()
        ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
        ahead /= np.linalg.norm(ahead)
        ground = np.stack([np.cross(ahead, up), ahead])  # (2, 3): to the right, away
        for row, centre, size, orientation in zip(
            rows, measured.centres, measured.sizes, measured.orientations, strict=True
        ):
            number = int(tracked.track_ids[row])
            if number:
                turn = Rotation.from_quat(orientation)
                corners = centre + turn.apply(CORNERS * size)
                color = track_color(number)[::-1]
                pixels = np.rint(self._camera.project(corners)).astype(int)
                for begin, end in EDGES:
                    cv2.line(image, pixels[begin], pixels[end], color, 1, cv2.LINE_AA)
                self._ways[number].append(ground @ centre)
                self._draw_from_above(plan, number, corners[:4] @ ground.T, centre, color)
        return np.hstack([image, plan])[:, :, ::-1]

    def _empty_map(self) -> np.ndarray:
        plan = np.full((self._camera.height, MAP_WIDTH, 3), 28, np.uint8)
        for metres in np.arange(-4, 16) * GRID:
            x, y = self._on_map(np.array([metres, metres]))
            cv2.line(plan, (x, 0), (x, plan.shape[0]), (52, 52, 52), 1)
            cv2.line(plan, (0, y), (MAP_WIDTH, y), (52, 52, 52), 1)
        return plan

    def _draw_from_above(
        self,
        plan: np.ndarray,
        number: int,
        footprint: np.ndarray,
        centre: np.ndarray,
        color: tuple[int, ...],
    ) -> None:
        way = self._on_map(np.array(self._ways[number]))
        cv2.polylines(plan, [way], False, color, 1, cv2.LINE_AA)
        cv2.fillConvexPoly(plan, self._on_map(footprint), color, cv2.LINE_AA)
        text = f"#{number} {np.linalg.norm(centre):.2f} m"
        at = self._on_map(footprint).max(axis=0) + 4
        cv2.putText(plan, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (235, 235, 235), 1, cv2.LINE_AA)

    def _on_map(self, metres: np.ndarray) -> np.ndarray:
        """Points (..., 2) to the right and away, in metres, as pixels of the map."""
        right, away = np.moveaxis(metres, -1, 0)
        x = MAP_WIDTH / 2 + MAP_SCALE * right
        y = self._camera.height - MAP_SCALE * (away - MAP_BEGIN)
        return np.rint(np.stack([x, y], axis=-1)).astype(int)


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
