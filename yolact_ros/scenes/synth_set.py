# SPDX-License-Identifier: Apache-2.0
"""Writes synthetic scenes as a data set in COCO's format."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from yolact_ros.choices import SCENE_KINDS
from yolact_ros.datasets.segmentation import encode_mask
from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.scenes.depth_model import DEPTH_MODELS, DepthModel
from yolact_ros.scenes.scene import SCENE_MAKERS, SceneFrame

SCENE_DURATION = 60.0
"""Scenes are rendered at a time between 0 and this many seconds."""

# In the sensor's noise nothing repeats: looking for it takes time and makes larger files.
_PNG = [
    cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
]  # fmt: skip


def render_scene(
    seed: int,
    width: int = 640,
    height: int = 480,
    class_names: Sequence[str] = DEMO_CLASSES,
    distance: tuple[float, float] | None = None,
    depth_model: DepthModel | None = None,
    kind: str = "random",
) -> SceneFrame:
    """Render the scene of a seed and a kind of `SCENE_KINDS`, at a time that the seed decides too.

    The other arguments are those of `Scene.random`.
    """
    moment = float(np.random.default_rng(seed).uniform(0, SCENE_DURATION))
    scene = SCENE_MAKERS[kind](
        seed,
        width=width,
        height=height,
        class_names=class_names,
        distance=distance,
        depth_model=depth_model,
    )
    return scene.frame(moment)


def frame_annotations(frame: SceneFrame, image_id: int, first_id: int) -> list[dict[str, Any]]:
    """Return the objects of a frame as COCO annotations with ids from `first_id` on."""
    annotations = []
    for index, thing in enumerate(frame.objects):
        x1, y1, x2, y2 = (float(value) for value in thing.box)
        annotations.append(
            {
                "id": first_id + index,
                "image_id": image_id,
                "category_id": thing.class_id + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": int(thing.area),
                "iscrowd": 0,
                "segmentation": encode_mask(frame.instance_map == index + 1),
            }
        )
    return annotations


@dataclass(frozen=True, kw_only=True)
class SynthSet:
    """The contents of a synthetic data set.

    Attributes:
        images: Number of images, each of its own scene.
        seed: Seed of the first scene; the following scenes count up from it.
        width, height: Size of the images in pixels.
        class_names: Kinds of objects, some of `scene.SCENE_CLASSES`; their category ids are 1, 2,
            ... in this order.
        distance: Least and greatest distance of the camera; see `Scene.random`.
        depth_camera: One of `DEPTH_MODELS`; None: that of the training scenes.
        kind: One of `SCENE_KINDS`.
    """

    images: int
    seed: int
    width: int = 640
    height: int = 480
    class_names: tuple[str, ...] = DEMO_CLASSES
    distance: tuple[float, float] | None = None
    depth_camera: str | None = None
    kind: str = "random"

    def __post_init__(self) -> None:
        if self.images < 1:
            raise InputError(f"images: expected 1 or more, got {self.images}")
        if self.depth_camera is not None:
            expect_one_of("depth_camera", self.depth_camera, tuple(DEPTH_MODELS))
        expect_one_of("kind", self.kind, SCENE_KINDS)

    def write(self, folder: Path, *, workers: int, version: str, progress: bool = False) -> Path:
        """Render all images and write them with their annotations.

        The same set gives the same bytes with any number of workers. Besides ``images`` there are
        ``depth`` images of the same names: 16-bit PNG, millimetres along the optical axis, 0 where
        the sensor got no return. The camera of each image is in its entry of the annotations.

        Args:
            folder: Created if it is missing.
            workers: Number of processes that render.
            version: Version of this program, for the file's ``info``.
            progress: Whether to show a progress bar.

        Returns:
            The annotation file. It is written last: a folder without it is incomplete.

        Raises:
            InputError: The folder is not empty, or the set cannot be rendered.
        """
        if workers < 1:
            raise InputError(f"workers: expected 1 or more, got {workers}")
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: expected an empty folder or none, got a file")
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"{folder}: expected an empty folder or none, got one with files")
        # fails here if the options are wrong
        SCENE_MAKERS[self.kind](self.seed, **self._scene_options)
        for name in ("images", "depth"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        numbers = range(1, self.images + 1)
        with _mapping(min(workers, self.images)) as mapping:
            rendered = mapping(partial(_render, self, folder), numbers)
            bar = tqdm(
                rendered, total=self.images, desc="rendering", unit="scene", disable=not progress
            )
            for image, found in bar:
                images.append(image)
                for annotation in found:
                    annotation["id"] = len(annotations) + 1
                    annotations.append(annotation)
        content = {
            "info": {
                "description": "Synthetic RGB-D scenes of things on a table. depth/ has an image "
                "of the same name for each: 16 bits, millimetres, 0 where there is no return.",
                "generator": "yolact-ros dataset synth",
                "version": version,
                "seed": self.seed,
            },
            "images": images,
            "annotations": annotations,
            "categories": [
                {"id": number, "name": name, "supercategory": "object"}
                for number, name in enumerate(self.class_names, start=1)
            ],
        }
        path = folder / "annotations.json"
        path.write_text(json.dumps(content))
        return path

    @property
    def _scene_options(self) -> dict[str, Any]:
        camera = self.depth_camera
        return {
            "width": self.width,
            "height": self.height,
            "class_names": self.class_names,
            "distance": self.distance,
            "depth_model": None if camera is None else DEPTH_MODELS[camera],
        }


def _render(
    wanted: SynthSet, folder: Path, number: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write image and depth of one scene; return its image entry and annotations without ids."""
    seed = wanted.seed + number - 1
    frame = render_scene(seed, kind=wanted.kind, **wanted._scene_options)
    name = f"{number:06d}.png"
    millimetres = np.clip(np.rint(frame.depth * 1000), 0, 65535).astype(np.uint16)
    for part, pixels in (("images", frame.image[:, :, ::-1]), ("depth", millimetres)):
        if not cv2.imwrite(str(folder / part / name), pixels, _PNG):
            raise InputError(f"{folder / part / name}: expected to write an image, got an error")
    camera = frame.intrinsics
    image = {
        "id": number,
        "file_name": name,
        "width": wanted.width,
        "height": wanted.height,
        "seed": seed,
        "camera": {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy},
    }
    return image, frame_annotations(frame, number, 0)


@contextmanager
def _mapping(workers: int) -> Iterator[Any]:
    """Provide a `map` over processes, or the built-in one for a single worker."""
    if workers == 1:
        yield map
        return
    # Fresh processes: forked ones would inherit the threads' locks of OpenCV.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
    try:
        yield partial(pool.map, chunksize=4)
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers to Ctrl-C
