# SPDX-License-Identifier: Apache-2.0
"""What is found in recorded images, as the fields of the messages that the node would publish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.recordings import fields
from yolact_ros.recordings.fields import Fields
from yolact_ros.recordings.images.bounds import MAX_PIXELS
from yolact_ros.recordings.images.camera_info import Calibration
from yolact_ros.recordings.images.compressed import compressed_to_array
from yolact_ros.recordings.images.depth import depth_of_image, is_compressed
from yolact_ros.recordings.images.raw import ImageArray, image_to_array
from yolact_ros.recordings.images.samples import SampleBits
from yolact_ros.recordings.matching import nanoseconds
from yolact_ros.space import Camera, objects, rough_centres
from yolact_ros.structures import Instances
from yolact_ros.tracking import SpaceTracker, Tracked, Tracker, thumbnail
from yolact_ros.visualization import paint_overlay

from .images import RecordedImage

JPEG_QUALITY = 85
"""As the parameter `overlay.jpeg_quality` of the node."""


class Results(NamedTuple):
    """What is to be written of an image.

    Attributes:
        messages: The fields of each message, by the name of its topic.
        instances: Number of instances.
        trouble: Why there are no objects, although there is depth; empty: nothing is wrong.
    """

    messages: dict[str, Fields]
    instances: int
    trouble: str


@dataclass
class Annotator:
    """Segments images, and remembers what the next ones need.

    Attributes:
        segment: Finds the instances of an image.
        rectified: Whether images are, as the parameter `space.rectified` of the node.
        tracker, space_tracker: What recognises things, in the image and in space; None: nothing.
        sample_bits: How 16-bit images are read.
    """

    segment: Callable[[ImageArray], Instances]
    rectified: bool = False
    tracker: Tracker | None = None
    space_tracker: SpaceTracker | None = None
    sample_bits: SampleBits = field(default_factory=SampleBits)
    _calibration: Calibration = field(default_factory=Calibration)

    def annotate(self, recorded: RecordedImage) -> Results:
        """Make the messages of an image; of `objects` there is one if all that it needs is there.

        Raises:
            InputError: The image cannot be read.
        """
        if recorded.message is None:
            raise InputError(recorded.trouble)
        header = recorded.message.header
        convert = compressed_to_array if is_compressed(recorded.message) else image_to_array
        picture = convert(recorded.message, MAX_PIXELS, self.sample_bits)
        instances = self.segment(picture).without_empty_masks()
        depth, camera, trouble = self._depth_and_camera(recorded, instances)
        tracked = None
        if self.tracker is not None:
            centres = None
            # as in the node, where the tracker does not wait for depth to be decoded
            if depth is not None and camera is not None and not is_compressed(recorded.depth):
                centres = rough_centres(instances, depth, camera)
            stamp = (nanoseconds(header.stamp) or recorded.time) * 1e-9
            tracked = self.tracker.update(instances, stamp, centres, thumbnail(picture.pixels))
        track_ids = None if tracked is None else tracked.track_ids
        voted = instances if tracked is None else tracked.voted(instances)
        messages = {
            "instances": fields.instance_array(instances, header, track_ids),
            "detections": fields.detection_array(instances, header, track_ids),
        }
        if depth is not None and camera is not None:
            try:
                camera.expect_image_size(voted.image_size)
            except InputError as error:
                trouble = str(error)
            else:
                messages["objects"] = self._objects(voted, depth, camera, header, tracked)
        canvas = picture.as_bgr().copy()
        paint_overlay(canvas, voted, track_ids=track_ids)
        messages["overlay/compressed"] = fields.compressed_overlay(canvas, JPEG_QUALITY, header)
        return Results(messages, len(instances), trouble)

    def _depth_and_camera(
        self, recorded: RecordedImage, instances: Instances
    ) -> tuple[npt.NDArray[np.float32] | None, Camera | None, str]:
        """The depth and the camera, or why there are none."""
        if recorded.depth is None or recorded.camera_info is None:
            return None, None, ""
        frame_id = recorded.message.header.frame_id
        try:
            depth = depth_of_image(recorded.depth, frame_id, instances.image_size, MAX_PIXELS)
            return depth, self._calibration.camera(recorded.camera_info, self.rectified), ""
        except InputError as error:
            return None, None, str(error)

    def _objects(
        self,
        instances: Instances,
        depth: npt.NDArray[np.float32],
        camera: Camera,
        header: Any,
        tracked: Tracked | None,
    ) -> Fields:
        measured, moving, track_ids = objects(instances, depth, camera), None, None
        if tracked is not None and self.space_tracker is not None:
            track_ids = tracked.track_ids
            moving = self.space_tracker.update(tracked, measured)
            measured = replace(measured, sizes=moving.sizes)
        return fields.object_array(instances, measured, header, track_ids, moving)
