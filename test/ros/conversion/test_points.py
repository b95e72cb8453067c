# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sensor_msgs.msg import PointField
from std_msgs.msg import Header

from yolact_ros.ros.conversion.points import point_cloud
from yolact_ros.space.points import POINT


@pytest.mark.parametrize("organised", [True, False])
def test_fields_and_bytes(organised):
    points = np.zeros(6, POINT)
    points["x"], points["instance"], points["class_id"] = np.arange(6), 7, 65535
    shape = (2, 3) if organised else (1, 6)
    cloud = point_cloud(
        points.reshape(shape) if organised else points, organised, Header(frame_id="c")
    )
    assert (cloud.height, cloud.width) == shape and cloud.is_dense is not organised
    assert (cloud.point_step, cloud.row_step) == (20, 20 * shape[1])
    assert [(field.name, field.offset, field.datatype, field.count) for field in cloud.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
        ("rgb", 12, PointField.FLOAT32, 1),
        ("instance", 16, PointField.UINT16, 1),
        ("class_id", 18, PointField.UINT16, 1),
    ]
    assert {field.name: field.offset for field in cloud.fields} == {
        name: POINT.fields[name][1] for name in POINT.names
    }
    np.testing.assert_array_equal(np.frombuffer(cloud.data, POINT), points)


def test_no_points():
    cloud = point_cloud(np.zeros(0, POINT), False, Header())
    assert (cloud.height, cloud.width, len(cloud.data)) == (1, 0, 0)
