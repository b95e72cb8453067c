# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from yolact_ros.ros.conversion.objects import (
    MARKER_SECONDS,
    detection_3d_array,
    marker_array,
    object_array,
)
from yolact_ros.structures import Instances, Objects, PackedMask
from yolact_ros.tracking import Moving
from yolact_ros.visualization import track_color

HEADER = Header(frame_id="map")


@pytest.fixture
def instances():
    """Three, of which the second has no depth."""
    masks = tuple(PackedMask.from_array(np.ones((2, 2), bool), x, 0) for x in (0, 3, 6))
    return Instances(
        image_size=(2, 8),
        boxes=np.zeros((3, 4), np.float32),
        scores=np.array([0.9, 0.8, 0.75], np.float32),
        class_ids=np.array([4, 5, 6]),
        class_names=("mug", "box", "ring"),
        packed_masks=masks,
    )


@pytest.fixture
def objects():
    half = np.sqrt(0.5)
    return Objects(
        instances=np.array([1, 3]),
        centres=np.array([[0.1, 0.2, 0.8], [-0.1, 0.0, 1.5]]),
        sizes=np.array([[0.3, 0.2, 0.1], [0.03, 0.02, 0.01]]),
        orientations=np.array([[0.0, 0.0, 0.0, 1.0], [0.0, half, 0.0, half]]),
        covariances=np.stack([np.arange(36.0).reshape(6, 6), np.eye(6)]),
        coverages=np.array([1.0, 0.5], np.float32),
        points=np.array([600, 20]),
    )


def test_objects(instances, objects):
    message = object_array(instances, objects, HEADER)
    assert message.header == HEADER
    mug, ring = message.objects
    assert (mug.instance, mug.class_id, mug.class_name) == (1, 4, "mug")
    assert (ring.instance, ring.class_id, ring.class_name) == (3, 6, "ring")
    assert (ring.score, ring.track_id, ring.depth_coverage, ring.points) == (0.75, 0, 0.5, 20)
    position, turn = ring.pose.pose.position, ring.pose.pose.orientation
    assert (position.x, position.y, position.z) == (-0.1, 0.0, 1.5)
    assert (turn.x, turn.y, turn.z, turn.w) == (0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5))
    assert (mug.size.x, mug.size.y, mug.size.z) == (0.3, 0.2, 0.1)
    assert mug.pose.covariance.tolist() == list(range(36))
    twist = mug.velocity.twist
    for vector in (twist.linear, twist.angular):
        assert np.isnan([vector.x, vector.y, vector.z]).all()
    assert np.isnan(mug.velocity.covariance).all()


def test_detections(instances, objects):
    message = detection_3d_array(instances, objects, HEADER)
    _, ring = message.detections
    assert message.header == ring.header == HEADER and ring.id == ""
    [result] = ring.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("6", 0.75)
    assert result.pose.pose == ring.bbox.center
    assert result.pose.covariance.tolist() == np.eye(6).reshape(-1).tolist()
    assert (ring.bbox.size.x, ring.bbox.size.y, ring.bbox.size.z) == (0.03, 0.02, 0.01)


def test_markers(instances, objects):
    first, *others = marker_array(instances, objects, HEADER).markers
    assert first.action == Marker.DELETEALL
    boxes = [each for each in others if each.type == Marker.CUBE]
    names = [each for each in others if each.type == Marker.TEXT_VIEW_FACING]
    assert [each.text for each in names] == ["mug 0.90", "ring 0.75"]
    assert len({(each.ns, each.id) for each in others}) == len(others) == 4
    for box, name in zip(boxes, names, strict=True):
        assert box.header == name.header == HEADER and box.pose == name.pose
        assert box.lifetime.sec == name.lifetime.sec == MARKER_SECONDS
        assert 0 < box.color.a < 1 and name.color.a == 1 and name.scale.z > 0
    assert (boxes[0].scale.x, boxes[0].scale.y, boxes[0].scale.z) == (0.3, 0.2, 0.1)


def test_tracks_and_velocities(instances, objects):
    track_ids = np.array([7, 0, 0])
    moving = Moving(
        velocities=np.array([[0.1, 0.2, 0.3], [np.nan] * 3]),
        covariances=np.stack([np.arange(9.0).reshape(3, 3), np.full((3, 3), np.nan)]),
        sizes=objects.sizes,
    )
    mug, ring = object_array(instances, objects, HEADER, track_ids, moving).objects
    assert (mug.track_id, ring.track_id) == (7, 0)
    linear, angular = mug.velocity.twist.linear, mug.velocity.twist.angular
    assert (linear.x, linear.y, linear.z) == (0.1, 0.2, 0.3) and np.isnan(angular.z)
    covariance = mug.velocity.covariance.reshape(6, 6)
    assert covariance[:3, :3].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert np.isnan(covariance[3:]).all() and np.isnan(covariance[:, 3:]).all()
    assert np.isnan(ring.velocity.twist.linear.x) and np.isnan(ring.velocity.covariance).all()
    detections = detection_3d_array(instances, objects, HEADER, track_ids).detections
    assert [detection.id for detection in detections] == ["7", ""]
    markers = marker_array(instances, objects, HEADER, track_ids).markers[1:]
    assert [(each.ns, each.id) for each in markers] == [
        *(("boxes", 7), ("names", 7), ("boxes", -3), ("names", -3)),
    ]
    assert [each.text for each in markers if each.text] == ["mug #7 0.90", "ring 0.75"]
    red, green, blue = track_color(7)
    color = markers[0].color
    assert [round(255 * each) for each in (color.r, color.g, color.b)] == [red, green, blue]


def test_no_objects_are_empty_messages(instances):
    nothing = Objects.none()
    assert object_array(instances, nothing, HEADER).objects == []
    assert detection_3d_array(instances, nothing, HEADER).detections == []
    assert len(marker_array(instances, nothing, HEADER).markers) == 1
