# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros predict`: overlay pictures or videos, and results in COCO's format."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from yolact_ros.errors import InputError

from .options import build_segmenter, segmenter_options, shared
from .sources import Source, Video, count_images, find_sources

if TYPE_CHECKING:
    from yolact_ros.inference import Segmenter


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "predict",
        help="segment images, folders of images and videos",
        description="Segment images, folders of images and videos. Writes to the output folder: "
        "the overlays, results.json (COCO results format, masks as RLE) and images.json (the file "
        "of each image id).",
        examples=(
            "yolact-ros predict picture.png pictures/ video.mp4 --out predictions",
            "yolact-ros predict picture.png --preset yolact_base --classes person car",
        ),
        parents=[
            shared("--out", "--quiet", out={"required": False, "default": Path("predictions")}),
            *segmenter_options(score_threshold=0.3),
        ],
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="Image, video, or folder to search for them with all its subfolders.",
    )
    parser.add_argument(
        "--no-overlay", action="store_true", help="Write only the two JSON files, no overlays."
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 1 if a file could not be read (the others are done all the same)."""
    sources = find_sources(arguments.inputs)
    segmenter = build_segmenter(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    overlays = None if arguments.no_overlay else arguments.out
    failures = []
    with tqdm(
        total=count_images(sources), unit="image", disable=arguments.quiet, file=sys.stderr
    ) as progress:
        predictor = Predictor(segmenter, overlays, progress)
        for source in sources:
            try:
                predictor.predict(source)
            except ValueError as error:
                failures.append(f"yolact-ros: skipped: {error}")
    for failure in failures:
        print(failure, file=sys.stderr)
    (arguments.out / "results.json").write_text(json.dumps(predictor.results))
    (arguments.out / "images.json").write_text(json.dumps(predictor.images, indent=1))
    print(
        f"{len(predictor.images)} images, {len(predictor.results)} instances, "
        f"results in {arguments.out}"
    )
    return 1 if failures else 0


class Predictor:
    """Segments one source after the other and collects the results.

    Args:
        segmenter: The loaded network.
        overlays: Folder for the pictures and videos; None for none.
        progress: Is told of every image.

    Attributes:
        results: COCO results of all images so far.
        images: For each image id, in COCO's format: id, file_name, width, height; frames of a
            video have `frame` too, from 0.
    """

    def __init__(self, segmenter: Segmenter, overlays: Path | None, progress: tqdm[Any]) -> None:
        self._segmenter = segmenter
        self._overlays = overlays
        self._progress = progress
        self._written: set[Path] = set()
        self.results: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []

    def predict(self, source: Source) -> None:
        """Segments an image or all frames of a video.

        Raises:
            ValueError: The file cannot be read; nothing was recorded of it.
        """
        if source.is_video:
            self._predict_video(source)
        else:
            overlay = self._predict_image(source.read_image(), {"file_name": str(source.name)})
            if overlay is not None:
                cv2.imwrite(str(self._output_path(source)), overlay)

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
        from yolact_ros.evaluation.coco_format import instances_to_coco_results
        from yolact_ros.visualization import draw_overlay

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
