# SPDX-License-Identifier: Apache-2.0
"""The report as data: the content of metrics.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch

from yolact_ros.checkpoints import read_metadata
from yolact_ros.datasets.coco import CocoDataset
from yolact_ros.datasets.statistics import count_sizes
from yolact_ros.inference import Segmenter
from yolact_ros.inference.device import device_name
from yolact_ros.provenance import file_sha256, versions

from .evaluate import MATCHING_IOU, Evaluation


def summarize(evaluation: Evaluation) -> dict[str, Any]:
    """Summarise the measurements as JSON holds them.

    Returns:
        ``mask`` and ``box`` (`CocoMetrics`), ``operating_point`` (with the ``confusion`` matrix and
        its ``classes``, the background last), ``counts`` of images, objects and instances, and
        ``speed`` in milliseconds by stage.
    """
    point = evaluation.operating_point
    return {
        "mask": asdict(evaluation.mask),
        "box": asdict(evaluation.box),
        "operating_point": {
            **asdict(point),
            "iou": MATCHING_IOU,
            "recall": point.recall,
            "precision": point.precision,
            "classes": [*evaluation.dataset.class_names, "background"],
            "confusion": evaluation.confusion.tolist(),
        },
        "counts": _counts(evaluation),
        "speed": _speed(evaluation.segmented.milliseconds),
    }


def _counts(evaluation: Evaluation) -> dict[str, Any]:
    dataset = evaluation.dataset
    things = [thing for image in dataset.images for thing in image.objects]
    objects = [thing for thing in things if not thing.crowd]
    return {
        "images": len(dataset),
        "images_without_objects": sum(not image.objects for image in dataset.images),
        "objects": len(objects),
        "crowds": len(things) - len(objects),
        "instances": len(evaluation.segmented.results),
        "objects_per_size": count_sizes(thing.area for thing in objects),
        "objects_per_class": {
            name: sum(thing.class_id == index for thing in objects)
            for index, name in enumerate(dataset.class_names)
        },
        "unknown_classes": list(evaluation.segmented.unknown_classes),
        "left_out": evaluation.segmented.left_out,
    }


def _speed(milliseconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    stages = {
        stage: {"median": float(np.median(times)), "p95": float(np.percentile(times, 95))}
        for stage, times in milliseconds.items()
    }
    return {"milliseconds": stages, "images_per_second": 1000 / stages["total"]["median"]}


def describe_run(
    segmenter: Segmenter, weights: Path, dataset: CocoDataset, *, command: str, batch_size: int
) -> dict[str, Any]:
    """Describe network, data, machine and versions as JSON holds them.

    Args:
        segmenter: The network.
        weights: The file that it was loaded from.
        dataset: The images and their truth.
        command: Command line that repeats the run.
        batch_size: Images per forward pass.
    """
    return {
        "network": {
            "preset": segmenter.preset.name,
            "input_size": segmenter.preset.input_size,
            "class_names": list(segmenter.class_names),
            **asdict(segmenter.options),
        },
        "machine": {
            "device": str(segmenter.device),
            "name": device_name(segmenter.device),
            "engine": segmenter.engine,
            "precision": segmenter.precision,
            "threads": torch.get_num_threads(),
            "batch_size": batch_size,
        },
        "weights": {
            "file": str(weights),
            "sha256": file_sha256(weights),
            "metadata": read_metadata(weights),
        },
        "data": {
            "annotations": str(dataset.annotation_file),
            "sha256": file_sha256(dataset.annotation_file),
            "images": str(dataset.image_folder),
        },
        "versions": versions(),
        "command": command,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
