# SPDX-License-Identifier: Apache-2.0
"""`Instances` to messages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

from yolact_ros.msg import Instance, InstanceArray, Mask
from yolact_ros.ros.conversion.images import ImageArray, append_bytes, array_to_image
from yolact_ros.structures import Instances, PackedMask
from yolact_ros.visualization import OverlayStyle, encode_jpeg, paint_overlay

TrackIds = npt.NDArray[np.int64]


def instance_array(
    instances: Instances, header: Header, track_ids: TrackIds | None = None
) -> InstanceArray:
    """Make the message of `~/instances`.

    Args:
        instances: Without empty masks, best score first.
        header: The image's header.
        track_ids: (N,) the track of each, 0 for none; None: none of them has one.
    """
    height, width = instances.image_size
    mask_scores = instances.mask_scores
    message = InstanceArray(header=header, image_height=height, image_width=width)
    message.instances = [
        instance_message(
            class_id=int(instances.class_ids[i]),
            class_name=instances.class_names[i],
            score=float(instances.scores[i]),
            mask_score=math.nan if mask_scores is None else float(mask_scores[i]),
            track_id=0 if track_ids is None else int(track_ids[i]),
            box=instances.boxes[i],
            mask=instances.packed_masks[i],
        )
        for i in range(len(instances))
    ]
    return message


def detection_array(
    instances: Instances, header: Header, track_ids: TrackIds | None = None
) -> Detection2DArray:
    """Make the message of `~/detections`; arguments as for `instance_array`."""
    message = Detection2DArray(header=header)
    message.detections = [_detection(instances, i, header) for i in range(len(instances))]
    if track_ids is not None:
        for detection, track_id in zip(message.detections, track_ids.tolist(), strict=True):
            detection.id = id_text(track_id)
    return message


def instance_message(
    *,
    class_id: int,
    class_name: str,
    score: float,
    mask_score: float,
    box: npt.NDArray[Any],
    mask: PackedMask,
    track_id: int = 0,
) -> Instance:
    """Make a yolact_ros/Instance; the box is x1, y1, x2, y2 in pixels."""
    # Its constructor makes all its parts, even those that it is given: they are filled in instead.
    message = Instance(
        class_id=class_id,
        class_name=class_name,
        score=score,
        mask_score=mask_score,
        track_id=track_id,
    )
    _fill_box(message.bbox, box)
    _fill_mask(message.mask, mask)
    return message


def id_text(track_id: int) -> str:
    """The `id` of a vision_msgs detection: the number of its track, or nothing."""
    return str(track_id) if track_id else ""


def _fill_mask(message: Mask, mask: PackedMask) -> None:
    """Fill in a new yolact_ros/Mask."""
    message.x_offset = mask.x_offset
    message.y_offset = mask.y_offset
    message.width = mask.width
    message.height = mask.height
    message.step = mask.step
    append_bytes(message.data, mask.data)


def _detection(instances: Instances, i: int, header: Header) -> Detection2D:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = str(int(instances.class_ids[i]))
    result.hypothesis.score = float(instances.scores[i])
    message = Detection2D(header=header)
    message.results = [result]
    _fill_box(message.bbox, instances.boxes[i])
    return message


def _fill_box(message: BoundingBox2D, box: npt.NDArray[Any]) -> None:
    """Fill in x1, y1, x2, y2 in pixels."""
    x1, y1, x2, y2 = box.tolist()
    message.center.position.x = (x1 + x2) / 2
    message.center.position.y = (y1 + y2) / 2
    message.size_x = x2 - x1
    message.size_y = y2 - y1


def label_info(class_names: Sequence[str], score_threshold: float, header: Header) -> LabelInfo:
    """Make the message of `~/label_info`: the names of the class ids, in order from 0."""
    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=class_id, class_name=name)
            for class_id, name in enumerate(class_names)
        ],
        threshold=score_threshold,
    )


def instance_map(instances: Instances, header: Header) -> Image:
    """Make the message of `~/instance_map`; arguments as for `instance_array`."""
    return array_to_image(instances.instance_map(), "16UC1", header)


def class_map(instances: Instances, header: Header) -> Image:
    """Make the message of `~/class_map`; arguments as for `instance_array`."""
    return array_to_image(instances.class_map(), "8UC1", header)


def confidence_map(instances: Instances, header: Header) -> Image:
    """Make the message of `~/confidence_map`; arguments as for `instance_array`."""
    return array_to_image(instances.confidence_map(), "8UC1", header)


def overlay(
    image: ImageArray,
    instances: Instances,
    style: OverlayStyle,
    header: Header,
    track_ids: TrackIds | None = None,
) -> Image:
    """Make the message of `~/overlay`, drawn in the message's own memory."""
    pixels = image.pixels
    if image.channel_order == "rgb":
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), dtype=np.uint8)
    message = array_to_image(pixels, "bgr8", header)
    canvas = np.frombuffer(message.data, np.uint8).reshape(pixels.shape)
    paint_overlay(canvas, instances, style, track_ids)
    return message


def compressed_overlay(overlay: Image, quality: int) -> CompressedImage:
    """Make the message of `~/overlay/compressed` as image_transport's JPEG publisher would.

    Args:
        overlay: The message of `~/overlay`.
        quality: Of the JPEG, 1 to 100.
    """
    pixels = np.frombuffer(overlay.data, np.uint8).reshape(overlay.height, overlay.width, 3)
    message = CompressedImage(header=overlay.header, format="bgr8; jpeg compressed bgr8")
    message.data.frombytes(encode_jpeg(pixels, quality))
    return message
