# SPDX-License-Identifier: Apache-2.0
"""Points to messages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from yolact_ros.ros.conversion.images import append_bytes
from yolact_ros.space.points import POINT


def point_cloud(points: npt.NDArray[np.void], organised: bool, header: Header) -> PointCloud2:
    """Make the message of `~/points`.

    Args:
        points: (H, W) or (K,) of `yolact_ros.space.points.POINT`.
        organised: Whether there is one for each pixel, NaN where there is no depth.
        header: The image's header.
    """
    height, width = points.shape if organised else (1, len(points))
    message = PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=_FIELDS,
        is_bigendian=False,
        point_step=POINT.itemsize,
        row_step=POINT.itemsize * width,
        is_dense=not organised,
    )
    append_bytes(message.data, points)
    return message


# x, y, z and the colour's four bytes, which PCL and rviz2 read as a float; two short numbers
_FIELDS = [
    *(
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(("x", "y", "z", "rgb"))
    ),
    PointField(name="instance", offset=16, datatype=PointField.UINT16, count=1),
    PointField(name="class_id", offset=18, datatype=PointField.UINT16, count=1),
]
"""The fields of `POINT`."""
