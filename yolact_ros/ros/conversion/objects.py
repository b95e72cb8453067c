# SPDX-License-Identifier: Apache-2.0
"""`Objects` to messages."""

from __future__ import annotations

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Pose, Vector3
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from yolact_ros.msg import ObjectArray
from yolact_ros.recordings import fields
from yolact_ros.recordings.fields import TrackIds
from yolact_ros.ros.conversion.filling import fill
from yolact_ros.structures import Instances, Objects
from yolact_ros.tracking import Moving
from yolact_ros.visualization import class_color, track_color

_OPACITY = 0.45
_TEXT_HEIGHT = 0.04
"""Metres."""
_MARKER_IDS = 1 << 31
MARKER_SECONDS = 2
"""Seconds after which rviz2 forgets objects that nothing came of any more."""


def object_array(
    instances: Instances,
    objects: Objects,
    header: Header,
    track_ids: TrackIds | None = None,
    moving: Moving | None = None,
) -> ObjectArray:
    """Make the message of `~/objects`; arguments as for `fields.object_array`."""
    values = fields.object_array(instances, objects, header, track_ids, moving)
    return fill(ObjectArray(), values)


def detection_3d_array(
    instances: Instances, objects: Objects, header: Header, track_ids: TrackIds | None = None
) -> Detection3DArray:
    """Make the message of `~/detections_3d`; arguments as for `fields.object_array`."""
    values = fields.detection_3d_array(instances, objects, header, track_ids)
    return fill(Detection3DArray(), values)


def marker_array(
    instances: Instances, objects: Objects, header: Header, track_ids: TrackIds | None = None
) -> MarkerArray:
    """Make the message of `~/markers`: a box and a name each.

    The arguments are those of `fields.object_array`.

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
    return fill(Pose(), fields.pose(objects, i))


def _size(objects: Objects, i: int) -> Vector3:
    return fill(Vector3(), fields.xyz(objects.sizes[i]))
