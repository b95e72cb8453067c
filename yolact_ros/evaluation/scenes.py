# SPDX-License-Identifier: Apache-2.0
"""Measuring a network on synthetic scenes that training never saw."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from tqdm import tqdm

from yolact_ros.data.run_lengths import encode_mask
from yolact_ros.data.synthetic import Scene, SceneFrame
from yolact_ros.evaluation.coco import CocoMetrics, coco_metrics
from yolact_ros.evaluation.coco_format import instances_to_coco_results
from yolact_ros.inference import Segmenter

FIRST_UNSEEN_SEED = 1_000_000
"""Training uses scene seeds below this one."""

SCENE_DURATION = 60.0
"""Scenes are looked at between 0 and this many seconds."""


@dataclass(frozen=True)
class SceneMetrics:
    """How well synthetic scenes are segmented.

    Attributes:
        scenes: Number of scenes.
        objects: Number of true objects.
        mask, box: COCO's figures.
        recall: Part of the clearly visible objects (see `CLEARLY_VISIBLE`) found above
            `RECALL_SCORE`, with the right class and a mask IoU of at least 0.5.
        mean_iou: Mean mask IoU of those found.
        network_ms: Median time of the network for one image.
        total_ms: Median time from image to instances.
    """

    scenes: int
    objects: int
    mask: CocoMetrics
    box: CocoMetrics
    recall: float
    mean_iou: float
    network_ms: float
    total_ms: float


RECALL_SCORE = 0.3
CLEARLY_VISIBLE = {"visible_fraction": 0.5, "area": 400}
"""Objects that must be found: at least half visible, and at least so many pixels."""


def render_scene(seed: int, width: int = 640, height: int = 480) -> SceneFrame:
    """The scene of that seed at a moment that the seed decides too."""
    moment = float(np.random.default_rng(seed).uniform(0, SCENE_DURATION))
    return Scene.random(seed, width=width, height=height).frame(moment)


def frame_annotations(frame: SceneFrame, image_id: int, first_id: int) -> list[dict[str, Any]]:
    """The true objects of a frame as COCO annotations with ids from `first_id` on."""
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


def found_ious(
    truth: list[dict[str, Any]], results: list[dict[str, Any]], score: float
) -> dict[int, float]:
    """Pairs results with true objects of the same class and a mask IoU of at least 0.5.

    Args:
        truth: COCO annotations of one image.
        results: COCO results of that image.
        score: Results with less are left out.

    Returns:
        Mask IoU by annotation id; objects that nothing was paired with are missing. The better
        score chooses first, and chooses the best overlap.
    """
    chosen = sorted((r for r in results if r["score"] >= score), key=lambda r: -r["score"])
    if not chosen or not truth:
        return {}
    ious = coco_mask.iou(
        [r["segmentation"] for r in chosen], [t["segmentation"] for t in truth], [0] * len(truth)
    )
    same = np.equal.outer([r["category_id"] for r in chosen], [t["category_id"] for t in truth])
    ious = np.where(same, ious, -1.0)
    found: dict[int, float] = {}
    for row in ious:
        best = int(row.argmax())
        if row[best] >= 0.5:
            found[truth[best]["id"]] = float(row[best])
            ious[:, best] = -1.0
    return found


def evaluate_scenes(
    segmenter: Segmenter, seeds: Iterable[int], *, progress: bool = False
) -> SceneMetrics:
    """Segments scenes and compares with their truth.

    Args:
        segmenter: Its preset's classes must be the scenes'; for a meaningful AP its score threshold
            should be low (0.05).
        seeds: One scene a seed.
        progress: Whether to show a progress bar.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    times: list[tuple[float, float]] = []
    visible = 0
    ious: list[float] = []
    for image_id, seed in enumerate(tqdm(list(seeds), desc="scenes", disable=not progress)):
        frame = render_scene(seed)
        height, width = frame.image.shape[:2]
        images.append({"id": image_id, "height": height, "width": width})
        truth = frame_annotations(frame, image_id, len(annotations) + 1)
        start = time.perf_counter()
        [instances] = segmenter(frame.image, channel_order="rgb")
        times.append((segmenter.timings["network"], (time.perf_counter() - start) * 1000))
        found = instances_to_coco_results(instances.without_empty_masks(), image_id)
        paired = found_ious(truth, found, RECALL_SCORE)
        for annotation, thing in zip(truth, frame.objects, strict=True):
            if (
                thing.visible_fraction >= CLEARLY_VISIBLE["visible_fraction"]
                and thing.area >= CLEARLY_VISIBLE["area"]
            ):
                visible += 1
                ious += [paired[annotation["id"]]] if annotation["id"] in paired else []
        annotations += truth
        results += found
    ground_truth = {
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": index + 1, "name": name} for index, name in enumerate(segmenter.class_names)
        ],
    }
    network_ms, total_ms = np.median(np.array(times), axis=0)
    return SceneMetrics(
        scenes=len(images),
        objects=len(annotations),
        mask=coco_metrics(ground_truth, results, "segm"),
        box=coco_metrics(ground_truth, results, "bbox"),
        recall=len(ious) / visible if visible else 1.0,
        mean_iou=float(np.mean(ious)) if ious else 0.0,
        network_ms=float(network_ms),
        total_ms=float(total_ms),
    )


def evaluate_unseen(segmenter: Segmenter, scenes: int, *, progress: bool = False) -> SceneMetrics:
    """`evaluate_scenes` on the first so many scenes that training never uses, after a warm-up."""
    segmenter.warm_up()
    seeds = range(FIRST_UNSEEN_SEED, FIRST_UNSEEN_SEED + scenes)
    return evaluate_scenes(segmenter, seeds, progress=progress)
