# SPDX-License-Identifier: Apache-2.0
"""`Instances` to messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from yolact_ros.msg import InstanceArray
from yolact_ros.recordings import fields
from yolact_ros.recordings.fields import TrackIds
from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.ros.conversion.filling import fill
from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.structures import Instances
from yolact_ros.visualization import OverlayStyle, paint_overlay


def instance_array(
    instances: Instances, header: Header, track_ids: TrackIds | None = None
) -> InstanceArray:
    """Make the message of `~/instances`; arguments as for `fields.instance_array`."""
    return fill(InstanceArray(), fields.instance_array(instances, header, track_ids))


def detection_array(
    instances: Instances, header: Header, track_ids: TrackIds | None = None
) -> Detection2DArray:
    """Make the message of `~/detections`; arguments as for `fields.instance_array`."""
    return fill(Detection2DArray(), fields.detection_array(instances, header, track_ids))


def label_info(class_names: Sequence[str], score_threshold: float, header: Header) -> LabelInfo:
    """Make the message of `~/label_info`: the names of the class ids, in order from 0."""
    return fill(LabelInfo(), fields.label_info(class_names, score_threshold, header))


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
    pixels = image.as_bgr()
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
    return fill(CompressedImage(), fields.compressed_overlay(pixels, quality, overlay.header))
