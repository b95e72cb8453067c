# SPDX-License-Identifier: Apache-2.0
"""Segment images and videos, draw overlays and collect the results, for `yolact-ros predict`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from yolact_ros.errors import InputError
from yolact_ros.evaluation.coco_format import instances_to_coco_results
from yolact_ros.visualization import draw_overlay

from .sources import Source, Video

if TYPE_CHECKING:
    from yolact_ros.inference import Segmenter


class Predictor:
    """Segment one source after the other and collect the results.

    Args:
        segmenter: The loaded network.
        overlays: Folder for the pictures and videos; None for none.
        progress: Updated after every image.

    Attributes:
        results: COCO results of all images so far.
        images: COCO image entries so far: id, file_name, width, height; frames of a video also
            have `frame`, counted from 0.
    """

    def __init__(self, segmenter: Segmenter, overlays: Path | None, progress: tqdm[Any]) -> None:
        self._segmenter = segmenter
        self._overlays = overlays
        self._progress = progress
        self._written: set[Path] = set()
        self.results: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []

    def predict(self, source: Source) -> None:
        """Segment an image or all frames of a video.

        Raises:
            InputError: The file cannot be read; nothing was recorded of it.
        """
        if source.is_video:
            self._predict_video(source)
        else:
            overlay = self._predict_image(source.read_image(), {"file_name": str(source.name)})
            if overlay is not None:
                suffix = None if cv2.haveImageWriter(source.name.name) else ".png"
                cv2.imwrite(str(self._output_path(source, suffix)), overlay)

    def _predict_video(self, source: Source) -> None:
        writer: cv2.VideoWriter | None = None
        with closing(Video(source.path)) as video:
            for number, frame in enumerate(video):
                entry = {"file_name": str(source.name), "frame": number}
                overlay = self._predict_image(frame, entry)
                if overlay is not None:
                    if writer is None:
                        writer = self._open_writer(source, video.fps, overlay)
                    writer.write(overlay)
        if writer is not None:
            writer.release()

    def _predict_image(
        self, image: npt.NDArray[np.uint8], entry: dict[str, Any]
    ) -> npt.NDArray[np.uint8] | None:
        [instances] = self._segmenter(image)
        instances = instances.without_empty_masks()
        image_id = len(self.images) + 1
        height, width = image.shape[:2]
        self.images.append({"id": image_id, "width": width, "height": height, **entry})
        self.results += instances_to_coco_results(
            instances,
            image_id,
            category_ids=self._segmenter.preset.category_ids,
            multiply_mask_scores=self._segmenter.options.rescoring == "published",
        )
        self._progress.update()
        return draw_overlay(image, instances) if self._overlays is not None else None

    def _open_writer(
        self, source: Source, fps: float, frame: npt.NDArray[np.uint8]
    ) -> cv2.VideoWriter:
        path = self._output_path(source, suffix=".mp4")
        height, width = frame.shape[:2]
        code = cv2.VideoWriter_fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), code, fps, (width, height))
        if not writer.isOpened():
            raise InputError(f"expected OpenCV to write MPEG-4 video, but it cannot open {path}")
        return writer

    def _output_path(self, source: Source, suffix: str | None = None) -> Path:
        assert self._overlays is not None
        wanted = self._overlays / (source.name.with_suffix(suffix) if suffix else source.name)
        path, number = wanted, 1
        while path in self._written:  # two inputs of the same name
            number += 1
            path = wanted.with_stem(f"{wanted.stem}-{number}")
        if path.resolve() == source.path.resolve():
            raise InputError(f"--out: expected a folder other than the input's, got {path.parent}")
        self._written.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
