# SPDX-License-Identifier: Apache-2.0
"""`Objects` to messages."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import Marker, MarkerArray

from yolact_ros.msg import Object, ObjectArray
from yolact_ros.ros.conversion.instances import TrackIds, id_text
from yolact_ros.structures import Instances, Objects
from yolact_ros.tracking import Moving
from yolact_ros.visualization import class_color, track_color

_OPACITY = 0.45
_TEXT_HEIGHT = 0.04
"""Metres."""
_MARKER_IDS = 1 << 31
MARKER_SECONDS = 2
"""Seconds after which rviz2 forgets objects that nothing came of any more."""

_UNKNOWN_VELOCITY = np.full(3, math.nan)


def object_array(
    instances: Instances,
    objects: Objects,
    header: Header,
    track_ids: TrackIds | None = None,
    moving: Moving | None = None,
) -> ObjectArray:
    """Make the message of `~/objects`.

    Args:
        instances: Those that the objects were measured of.
        objects: The objects, in the header's frame.
        header: Stamp of the image, frame of the objects.
        track_ids: (N,) the track of each instance, 0 for none; None: none of them has one.
        moving: How the objects move; None: it is not known.
    """
    message = ObjectArray(header=header)
    for i, number in enumerate(objects.instances.tolist()):
        item = Object(
            instance=number,
            track_id=0 if track_ids is None else int(track_ids[number - 1]),
            class_id=int(instances.class_ids[number - 1]),
            class_name=instances.class_names[number - 1],
            score=float(instances.scores[number - 1]),
            size=_size(objects, i),
            depth_coverage=float(objects.coverages[i]),
            points=int(objects.points[i]),
        )
        item.pose.pose = _pose(objects, i)
        item.pose.covariance = objects.covariances[i].reshape(-1)
        velocity = _UNKNOWN_VELOCITY if moving is None else moving.velocities[i]
        twist, covariance = item.velocity.twist, np.full((6, 6), math.nan)
        twist.linear.x, twist.linear.y, twist.linear.z = velocity.tolist()
        twist.angular.x = twist.angular.y = twist.angular.z = math.nan
        if moving is not None:
            covariance[:3, :3] = moving.covariances[i]
        item.velocity.covariance = covariance.reshape(-1)
        message.objects.append(item)
    return message


def detection_3d_array(
    instances: Instances, objects: Objects, header: Header, track_ids: TrackIds | None = None
) -> Detection3DArray:
    """Make the message of `~/detections_3d`; arguments as for `object_array`."""
    message = Detection3DArray(header=header)
    for i, number in enumerate(objects.instances.tolist()):
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = str(int(instances.class_ids[number - 1]))
        result.hypothesis.score = float(instances.scores[number - 1])
        result.pose.pose = _pose(objects, i)
        result.pose.covariance = objects.covariances[i].reshape(-1)
        box = BoundingBox3D(center=_pose(objects, i), size=_size(objects, i))
        detection = Detection3D(header=header, results=[result], bbox=box)
        if track_ids is not None:
            detection.id = id_text(int(track_ids[number - 1]))
        message.detections.append(detection)
    return message


def marker_array(
    instances: Instances, objects: Objects, header: Header, track_ids: TrackIds | None = None
) -> MarkerArray:
    """Make the message of `~/markers`: a box and a name each; arguments as for `object_array`.

    The first marker deletes what was shown before. The `id` of the others is that of the track;
    what has none gets a negative one.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for i, number in enumerate(objects.instances.tolist()):
        k = number - 1
        track_id = 0 if track_ids is None else int(track_ids[k])
        paint = track_color(track_id) if track_id else class_color(int(instances.class_ids[k]))
        color = [channel / 255 for channel in paint]
        marker_id = track_id % _MARKER_IDS if track_id else -number
        text = instances.class_names[k] + (f" #{track_id}" if track_id else "")
        markers.append(
            Marker(
                header=header,
                ns="boxes",
                id=marker_id,
                type=Marker.CUBE,
                pose=_pose(objects, i),
                scale=_size(objects, i),
                color=ColorRGBA(r=color[0], g=color[1], b=color[2], a=_OPACITY),
                lifetime=Duration(sec=MARKER_SECONDS),
            )
        )
        markers.append(
            Marker(
                header=header,
                ns="names",
                id=marker_id,
                type=Marker.TEXT_VIEW_FACING,
                pose=_pose(objects, i),
                scale=Vector3(z=_TEXT_HEIGHT),
                color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
                text=f"{text} {instances.scores[k]:.2f}",
                lifetime=Duration(sec=MARKER_SECONDS),
            )
        )
    return MarkerArray(markers=markers)


def _pose(objects: Objects, i: int) -> Pose:
    x, y, z, w = objects.orientations[i].tolist()
    return Pose(position=_point(objects.centres[i]), orientation=Quaternion(x=x, y=y, z=z, w=w))


def _point(centre: npt.NDArray[np.float64]) -> Point:
    x, y, z = centre.tolist()
    return Point(x=x, y=y, z=z)


def _size(objects: Objects, i: int) -> Vector3:
    x, y, z = objects.sizes[i].tolist()
    return Vector3(x=x, y=y, z=z)
