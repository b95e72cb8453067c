# SPDX-License-Identifier: Apache-2.0
"""Instances to messages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    VisionClass,
)

from yolact_ros.msg import Instance, InstanceArray, Mask
from yolact_ros.ros.images import array_to_image, byte_array
from yolact_ros.structures import Instances, PackedMask


def mask_message(mask: PackedMask) -> Mask:
    """Makes a yolact_ros/Mask."""
    return Mask(
        x_offset=mask.x_offset,
        y_offset=mask.y_offset,
        width=mask.width,
        height=mask.height,
        step=mask.step,
        data=byte_array(mask.data),
    )


def box_message(box: npt.NDArray[np.float32]) -> BoundingBox2D:
    """Makes a vision_msgs/BoundingBox2D of x1, y1, x2, y2 in pixels."""
    x1, y1, x2, y2 = (float(value) for value in box)
    message = BoundingBox2D(size_x=x2 - x1, size_y=y2 - y1)
    message.center.position.x = (x1 + x2) / 2
    message.center.position.y = (y1 + y2) / 2
    return message


def instance_array(instances: Instances, header: Header) -> InstanceArray:
    """Makes the message of `~/instances`.

    Args:
        instances: Without empty masks, best score first.
        header: Of the image.
    """
    height, width = instances.image_size
    mask_scores = instances.mask_scores
    return InstanceArray(
        header=header,
        image_height=height,
        image_width=width,
        instances=[
            Instance(
                class_id=int(instances.class_ids[i]),
                class_name=instances.class_names[i],
                score=float(instances.scores[i]),
                mask_score=math.nan if mask_scores is None else float(mask_scores[i]),
                track_id=0,
                bbox=box_message(instances.boxes[i]),
                mask=mask_message(instances.packed_masks[i]),
            )
            for i in range(len(instances))
        ],
    )


def detection_array(instances: Instances, header: Header) -> Detection2DArray:
    """Makes the message of `~/detections`; arguments as for `instance_array`."""
    return Detection2DArray(
        header=header,
        detections=[
            Detection2D(
                header=header,
                results=[
                    ObjectHypothesisWithPose(
                        hypothesis=ObjectHypothesis(
                            class_id=str(int(instances.class_ids[i])),
                            score=float(instances.scores[i]),
                        )
                    )
                ],
                bbox=box_message(instances.boxes[i]),
                id="",
            )
            for i in range(len(instances))
        ],
    )


def label_info(class_names: Sequence[str], score_threshold: float, header: Header) -> LabelInfo:
    """Makes the message of `~/label_info`: the names of the class ids, in order from 0."""
    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=class_id, class_name=name)
            for class_id, name in enumerate(class_names)
        ],
        threshold=score_threshold,
    )


def instance_map(instances: Instances, header: Header) -> Image:
    """Makes the message of `~/instance_map`; arguments as for `instance_array`."""
    return array_to_image(instances.instance_map(), "16UC1", header)


def class_map(instances: Instances, header: Header) -> Image:
    """Makes the message of `~/class_map`; arguments as for `instance_array`."""
    return array_to_image(instances.class_map(), "8UC1", header)
