# SPDX-License-Identifier: Apache-2.0
"""Segment pictures and videos and draw overlays, for `yolact-ros predict`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from yolact_ros.datasets.pictures import read_picture
from yolact_ros.datasets.writing import replacing
from yolact_ros.errors import InputError
from yolact_ros.evaluation.coco_format import instances_to_coco_results
from yolact_ros.recordings.video import Video
from yolact_ros.structures import Instances
from yolact_ros.visualization import draw_overlay, encode_jpeg

from ..stopping import StopSignals
from .overlays import OverlayVideo, Report, write_picture
from .result_files import Predictions
from .tasks import Task

if TYPE_CHECKING:
    from yolact_ros.inference import Segmenter

_FRAME_QUALITY = 95
"""Of the JPEG files that a video's frames become in a data set."""


class Predictor:
    """Segment one source after the other.

    Args:
        segmenter: The loaded network.
        category_ids: Category id by class name.
        predictions: Where the results go.
        report: What goes wrong with one file goes here.
        progress: Updated after every image.
        stop: Ends a video after the current frame.

    Attributes:
        images: Number of images so far.
        instances: Number of instances so far.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        category_ids: Mapping[str, int],
        predictions: Predictions,
        report: Report,
        progress: tqdm[Any],
        stop: StopSignals,
    ) -> None:
        self._segmenter = segmenter
        self._category_ids = [category_ids.get(name) for name in segmenter.class_names]
        self._predictions = predictions
        self._report = report
        self._progress = progress
        self._stop = stop
        self.images = 0
        self.instances = 0

    def predict(self, task: Task) -> None:
        """Segment a picture or all frames of a video.

        Raises:
            InputError: The file cannot be read; nothing was recorded of it.
            OSError: Results cannot be written; those of the images before are complete.
        """
        if task.source.is_video:
            self._predict_video(task)
        else:
            self._predict_picture(task)

    def _predict_picture(self, task: Task) -> None:
        pixels = self._read(task)
        if task.picture is not None:
            task.picture.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(task.source.path, task.picture)
        image_id = task.known["id"] if task.known else self.images + 1
        instances = self._segment(pixels, {"id": image_id, **_names(task, task.file_name)})
        if task.overlay is not None:
            write_picture(task.overlay, draw_overlay(pixels, instances), self._report)

    def _predict_video(self, task: Task) -> None:
        with (
            closing(Video(task.source.path)) as video,
            closing(OverlayVideo(task.overlay, video.fps, self._report)) as overlays,
        ):
            if video.fps != video.stated_fps:
                self._report.note(
                    f"{video.path}: states {video.stated_fps:g} frames a second, taken for "
                    f"{video.fps:g}"
                )
            for number, frame in enumerate(video):
                file_name = task.file_name
                if task.picture is not None:
                    file_name += f"/{number:06d}.jpg"
                    task.picture.mkdir(parents=True, exist_ok=True)
                    with replacing(task.picture / f"{number:06d}.jpg") as unfinished:
                        unfinished.write_bytes(encode_jpeg(frame, _FRAME_QUALITY))
                entry = {"id": self.images + 1, **_names(task, file_name), "frame": number}
                instances = self._segment(frame, entry)
                if task.overlay is not None:
                    overlays.write(draw_overlay(frame, instances))
                if self._stop.number:
                    return
            complaint = video.complaint()
        if complaint:
            self._report.failures.append(complaint)

    def _read(self, task: Task) -> npt.NDArray[np.uint8]:
        """Read a picture, (H, W, 3) uint8 BGR."""
        known = task.known or {}
        width, height = known.get("width"), known.get("height")
        return read_picture(
            task.source.path,
            labelled=None if width is None or height is None else (width, height),
            labels="--annotations",
            channel_order="bgr",
        )

    def _segment(self, pixels: npt.NDArray[np.uint8], entry: dict[str, Any]) -> Instances:
        [instances] = self._segmenter(pixels)
        instances = instances.without_empty_masks()
        results = instances_to_coco_results(
            instances,
            entry["id"],
            category_ids=self._category_ids,
            multiply_mask_scores=self._segmenter.options.rescoring == "published",
        )
        height, width = pixels.shape[:2]
        self._predictions.add({"width": width, "height": height, **entry}, results, instances)
        self.images += 1
        self.instances += len(results)
        self._progress.update()
        return instances


def count_images(tasks: Sequence[Task]) -> int:
    """Count the pictures and all videos' frames, as far as the files say."""
    total = 0
    for task in tasks:
        if not task.source.is_video:
            total += 1
            continue
        with suppress(InputError), closing(Video(task.source.path)) as video:
            total += video.frames
    return total


def _names(task: Task, file_name: str) -> dict[str, str]:
    """Name an image; where files may share their names, by its path, too."""
    path = {} if task.picture is not None else {"path": str(task.source.path)}
    return {"file_name": file_name, **path}
