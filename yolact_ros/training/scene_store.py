# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes rendered once and read many times."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from yolact_ros.data.synthetic import Scene

WIDTH, HEIGHT = 640, 480
_MAX_OBJECTS = 255  # the instance map is stored in one byte a pixel


class StoredScene(NamedTuple):
    """One rendered frame.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        instance_map: (H, W) uint8: 0 background, i + 1 the i-th object.
        class_ids: (N,) int64 of the objects.
    """

    image: npt.NDArray[np.uint8]
    instance_map: npt.NDArray[np.uint8]
    class_ids: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SceneStore:
    """Rendered scenes in three files, mapped into memory and shared by all processes.

    Attributes:
        directory: Where `images.npy`, `instance_maps.npy` and `class_ids.npy` lie.
    """

    directory: Path

    def __len__(self) -> int:
        return len(self._open("class_ids"))

    def __getitem__(self, index: int) -> StoredScene:
        class_ids = self._open("class_ids")[index]
        return StoredScene(
            image=self._open("images")[index],
            instance_map=self._open("instance_maps")[index],
            class_ids=class_ids[class_ids >= 0].astype(np.int64),
        )

    def _open(self, name: str) -> npt.NDArray[np.generic]:
        array: npt.NDArray[np.generic] = np.load(self.directory / f"{name}.npy", mmap_mode="r")
        return array


def render_store(
    directory: Path, seeds: Sequence[int], *, workers: int, moments: Sequence[float]
) -> SceneStore:
    """Renders one frame of each scene into a directory.

    Args:
        directory: Made if it is missing; 1.2 MB a scene are written.
        seeds: One scene a seed.
        workers: Processes that render.
        moments: The time in seconds at which each scene is looked at.
    """
    directory.mkdir(parents=True, exist_ok=True)
    count = len(seeds)
    images = _create(directory / "images.npy", (count, HEIGHT, WIDTH, 3), np.uint8)
    maps = _create(directory / "instance_maps.npy", (count, HEIGHT, WIDTH), np.uint8)
    class_ids = _create(directory / "class_ids.npy", (count, _MAX_OBJECTS), np.int16)
    class_ids[:] = -1
    # Fresh processes: forked ones would inherit the threads' locks of torch and OpenCV.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        rendered: Iterator[StoredScene] = pool.map(_render, seeds, moments, chunksize=8)
        for index, scene in enumerate(tqdm(rendered, total=count, desc="rendering", unit="scene")):
            images[index] = scene.image
            maps[index] = scene.instance_map
            class_ids[index, : len(scene.class_ids)] = scene.class_ids
    for array in (images, maps, class_ids):
        array.flush()
    return SceneStore(directory)


def _create(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def _render(seed: int, moment: float) -> StoredScene:
    frame = Scene.random(seed, width=WIDTH, height=HEIGHT).frame(moment)
    if len(frame.objects) > _MAX_OBJECTS:
        raise ValueError(f"scene {seed}: expected at most {_MAX_OBJECTS} objects, got more")
    return StoredScene(
        image=frame.image,
        instance_map=frame.instance_map.astype(np.uint8),
        class_ids=np.array([thing.class_id for thing in frame.objects], dtype=np.int64),
    )
