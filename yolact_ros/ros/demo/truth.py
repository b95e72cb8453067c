# SPDX-License-Identifier: Apache-2.0
"""What the demo camera knows about its scenes, as messages."""

from __future__ import annotations

import math

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from yolact_ros.msg import InstanceArray
from yolact_ros.ros.conversion.instances import instance_message
from yolact_ros.scenes.scene import CameraIntrinsics, SceneFrame
from yolact_ros.structures import PackedMask


def truth_message(frame: SceneFrame, header: Header) -> InstanceArray:
    """Make the message of `truth`: the visible objects, the most visible ones first.

    `score` is the visible fraction of the object: its visible pixels over those that it would have
    without other objects and the image border.
    """
    height, width = frame.instance_map.shape
    message = InstanceArray(header=header, image_height=height, image_width=width)
    numbered = enumerate(frame.objects, start=1)
    for number, item in sorted(numbered, key=lambda pair: -pair[1].visible_fraction):
        message.instances.append(
            instance_message(
                class_id=item.class_id,
                class_name=item.class_name,
                score=float(item.visible_fraction),
                mask_score=math.nan,
                box=item.box,
                mask=PackedMask.from_array(frame.instance_map == number),
            )
        )
    return message


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
