# SPDX-License-Identifier: Apache-2.0
"""`Instances` and `Objects` to the fields of messages, whoever makes the messages.

A message is a dictionary of its fields by name, of which those left out keep their default: another
message is a dictionary as well or, as a header, one that is there already; several are a list.
Arrays are NumPy's, of the field's type; all else are numbers and texts of Python.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from yolact_ros.structures import Instances, Objects, PackedMask
from yolact_ros.tracking import Moving
from yolact_ros.visualization import encode_jpeg

Fields = dict[str, Any]
TrackIds = npt.NDArray[np.int64]

_UNKNOWN_VELOCITY = np.full(3, math.nan)


def instance_array(instances: Instances, header: Any, track_ids: TrackIds | None = None) -> Fields:
    """The fields of a yolact_ros/InstanceArray.

    Args:
        instances: Without empty masks, best score first.
        header: The image's header.
        track_ids: (N,) the track of each, 0 for none; None: none of them has one.
    """
    height, width = instances.image_size
    count = len(instances)
    mask_scores = instances.mask_scores
    return {
        "header": header,
        "image_height": height,
        "image_width": width,
        "instances": [
            instance(class_id, class_name, score, mask_score, box, mask, track_id)
            for class_id, class_name, score, mask_score, track_id, box, mask in zip(
                instances.class_ids.tolist(),
                instances.class_names,
                instances.scores.tolist(),
                [math.nan] * count if mask_scores is None else mask_scores.tolist(),
                [0] * count if track_ids is None else track_ids.tolist(),
                instances.boxes.tolist(),
                instances.packed_masks,
                strict=True,
            )
        ],
    }


def instance(
    class_id: int,
    class_name: str,
    score: float,
    mask_score: float,
    box: Sequence[float],
    mask: PackedMask,
    track_id: int = 0,
) -> Fields:
    """The fields of a yolact_ros/Instance; the box is x1, y1, x2, y2 in pixels."""
    return {
        "class_id": class_id,
        "class_name": class_name,
        "score": score,
        "mask_score": mask_score,
        "track_id": track_id,
        "bbox": box_2d(box),
        "mask": packed_mask(mask),
    }


def detection_array(instances: Instances, header: Any, track_ids: TrackIds | None = None) -> Fields:
    """The fields of a vision_msgs/Detection2DArray; arguments as for `instance_array`."""
    return {
        "header": header,
        "detections": [
            {
                "header": header,
                "results": [{"hypothesis": {"class_id": str(class_id), "score": score}}],
                "bbox": box_2d(box),
                "id": track_text(track_id),
            }
            for class_id, score, track_id, box in zip(
                instances.class_ids.tolist(),
                instances.scores.tolist(),
                [0] * len(instances) if track_ids is None else track_ids.tolist(),
                instances.boxes.tolist(),
                strict=True,
            )
        ],
    }


def label_info(class_names: Sequence[str], score_threshold: float, header: Any) -> Fields:
    """The fields of a vision_msgs/LabelInfo: the names of the class ids, in order from 0."""
    return {
        "header": header,
        "class_map": [
            {"class_id": class_id, "class_name": name} for class_id, name in enumerate(class_names)
        ],
        "threshold": score_threshold,
    }


def object_array(
    instances: Instances,
    objects: Objects,
    header: Any,
    track_ids: TrackIds | None = None,
    moving: Moving | None = None,
) -> Fields:
    """The fields of a yolact_ros/ObjectArray.

    Args:
        instances: Those that the objects were measured of.
        objects: The objects, in the header's frame.
        header: Stamp of the image, frame of the objects.
        track_ids: (N,) the track of each instance, 0 for none; None: none of them has one.
        moving: How the objects move; None: it is not known.
    """
    return {
        "header": header,
        "objects": [
            {
                "instance": number,
                "track_id": 0 if track_ids is None else int(track_ids[number - 1]),
                "class_id": int(instances.class_ids[number - 1]),
                "class_name": instances.class_names[number - 1],
                "score": float(instances.scores[number - 1]),
                "pose": _pose_with_covariance(objects, i),
                "size": xyz(objects.sizes[i]),
                "velocity": _velocity(moving, i),
                "depth_coverage": float(objects.coverages[i]),
                "points": int(objects.points[i]),
            }
            for i, number in _numbered(objects)
        ],
    }


def detection_3d_array(
    instances: Instances, objects: Objects, header: Any, track_ids: TrackIds | None = None
) -> Fields:
    """The fields of a vision_msgs/Detection3DArray; arguments as for `object_array`."""
    return {
        "header": header,
        "detections": [
            {
                "header": header,
                "results": [
                    {
                        "hypothesis": {
                            "class_id": str(int(instances.class_ids[number - 1])),
                            "score": float(instances.scores[number - 1]),
                        },
                        "pose": _pose_with_covariance(objects, i),
                    }
                ],
                "bbox": {"center": pose(objects, i), "size": xyz(objects.sizes[i])},
                "id": track_text(0 if track_ids is None else int(track_ids[number - 1])),
            }
            for i, number in _numbered(objects)
        ],
    }


def compressed_overlay(pixels: npt.NDArray[np.uint8], quality: int, header: Any) -> Fields:
    """The fields of a sensor_msgs/CompressedImage as image_transport's JPEG publisher makes it.

    Args:
        pixels: (H, W, 3) BGR.
        quality: Of the JPEG, 1 to 100.
        header: The image's.
    """
    return {
        "header": header,
        "format": "bgr8; jpeg compressed bgr8",
        "data": np.frombuffer(encode_jpeg(pixels, quality), np.uint8),
    }


def box_2d(box: Sequence[float]) -> Fields:
    """The fields of a vision_msgs/BoundingBox2D, of x1, y1, x2, y2 in pixels."""
    x1, y1, x2, y2 = box
    return {
        "center": {"position": {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2}},
        "size_x": x2 - x1,
        "size_y": y2 - y1,
    }


def packed_mask(mask: PackedMask) -> Fields:
    """The fields of a yolact_ros/Mask."""
    return {
        "x_offset": mask.x_offset,
        "y_offset": mask.y_offset,
        "width": mask.width,
        "height": mask.height,
        "step": mask.step,
        "data": mask.data,
    }


def pose(objects: Objects, i: int) -> Fields:
    """The fields of a geometry_msgs/Pose: where an object is, and how its box lies."""
    x, y, z, w = objects.orientations[i].tolist()
    return {"position": xyz(objects.centres[i]), "orientation": {"x": x, "y": y, "z": z, "w": w}}


def xyz(values: npt.NDArray[np.float64]) -> Fields:
    """The fields of a geometry_msgs/Point or Vector3, of (3,)."""
    x, y, z = values.tolist()
    return {"x": x, "y": y, "z": z}


def track_text(track_id: int) -> str:
    """The `id` of a vision_msgs detection: the number of its track, or nothing."""
    return str(track_id) if track_id else ""


def _numbered(objects: Objects) -> Iterator[tuple[int, int]]:
    """The rows of objects, each with the number of its instance, from 1."""
    return enumerate(objects.instances.tolist())


def _pose_with_covariance(objects: Objects, i: int) -> Fields:
    return {"pose": pose(objects, i), "covariance": objects.covariances[i].reshape(-1)}


def _velocity(moving: Moving | None, i: int) -> Fields:
    covariance = np.full((6, 6), math.nan)
    if moving is not None:
        covariance[:3, :3] = moving.covariances[i]
    linear = _UNKNOWN_VELOCITY if moving is None else moving.velocities[i]
    return {
        "twist": {"linear": xyz(linear), "angular": xyz(_UNKNOWN_VELOCITY)},
        "covariance": covariance.reshape(-1),
    }
