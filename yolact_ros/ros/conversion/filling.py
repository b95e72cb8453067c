# SPDX-License-Identifier: Apache-2.0
"""Fields, as `yolact_ros.recordings.fields` computes them, to messages of rclpy."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

from yolact_ros.msg import Instance, InstanceArray, Object, ObjectArray
from yolact_ros.recordings.fields import Fields

Message = TypeVar("Message")

_PARTS = (dict, list, np.ndarray)

_ITEMS: dict[tuple[type, str], type] = {
    (InstanceArray, "instances"): Instance,
    (ObjectArray, "objects"): Object,
    (Detection2DArray, "detections"): Detection2D,
    (Detection2D, "results"): ObjectHypothesisWithPose,
    (Detection3DArray, "detections"): Detection3D,
    (Detection3D, "results"): ObjectHypothesisWithPose,
    (LabelInfo, "class_map"): VisionClass,
}
"""What is in the fields that are lists of messages."""


def fill(message: Message, fields: Fields) -> Message:
    """Set fields of a new message, and return it."""
    for name, value in fields.items():
        kind = type(value)
        if kind is dict:
            fill(getattr(message, name), value)
        elif kind is list:
            item = _ITEMS[type(message), name]
            setattr(message, name, [_made(item, each) for each in value])
        elif kind is np.ndarray and value.itemsize == 1:
            getattr(message, name).frombytes(np.ascontiguousarray(value))
        else:
            setattr(message, name, value)
    return message


def _made(kind: Any, fields: Fields) -> Any:
    # Its constructor sets every plain field, given or not, and makes all its parts, even those that
    # it is given: these are filled in instead.
    plain, parts = {}, {}
    for name, value in fields.items():
        if type(value) in _PARTS:
            parts[name] = value
        else:
            plain[name] = value
    return fill(kind(**plain), parts)
