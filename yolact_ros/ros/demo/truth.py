# SPDX-License-Identifier: Apache-2.0
"""What the demo camera knows about its scenes, as messages."""

from __future__ import annotations

import math

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from yolact_ros.msg import Instance, InstanceArray, Object, ObjectArray
from yolact_ros.recordings import fields
from yolact_ros.ros.conversion.filling import fill
from yolact_ros.scenes.scene import CameraIntrinsics, SceneFrame, SceneObject
from yolact_ros.structures import PackedMask


def truth_message(frame: SceneFrame, header: Header) -> InstanceArray:
    """Make the message of `truth`: the visible objects, the most visible ones first.

    `score` is the visible fraction of the object: its visible pixels over those that it would have
    without other objects and the image border.
    """
    height, width = frame.instance_map.shape
    message = InstanceArray(header=header, image_height=height, image_width=width)
    for number, item in _by_visibility(frame):
        values = fields.instance(
            item.class_id,
            item.class_name,
            score=float(item.visible_fraction),
            mask_score=math.nan,
            box=item.box.tolist(),
            mask=PackedMask.from_array(frame.instance_map == number),
        )
        message.instances.append(fill(Instance(), values))
    return message


def true_objects(frame: SceneFrame, header: Header) -> ObjectArray:
    """Make the message of `truth_objects`: the boxes of the visible surfaces of those of `truth`.

    They are along the camera's axes, and made of the true masks and of depth without a flaw.
    """
    message = ObjectArray(header=header)
    for k, (number, item) in enumerate(_by_visibility(frame), start=1):
        surface = frame.visible_surfaces[number - 1]
        truth = Object(
            instance=k,
            class_id=item.class_id,
            class_name=item.class_name,
            score=float(item.visible_fraction),
            depth_coverage=1.0,
            points=surface.points,
        )
        position, size = truth.pose.pose.position, truth.size
        position.x, position.y, position.z = surface.aligned.center.tolist()
        size.x, size.y, size.z = surface.aligned.size.tolist()
        message.objects.append(truth)
    return message


def _by_visibility(frame: SceneFrame) -> list[tuple[int, SceneObject]]:
    """Number in the frame's map, from 1, and object, the most visible ones first."""
    numbered = enumerate(frame.objects, start=1)
    return sorted(numbered, key=lambda pair: -pair[1].visible_fraction)


def camera_info(intrinsics: CameraIntrinsics, header: Header) -> CameraInfo:
    """Make the message of `camera_info`: a pinhole without distortion."""
    fx, fy, cx, cy = intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy
    return CameraInfo(
        header=header,
        width=intrinsics.width,
        height=intrinsics.height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
