# SPDX-License-Identifier: Apache-2.0
"""What nodes and topics `yolact-ros bench node` makes of its arguments."""

import struct

import pytest
from yolact_ros.msg import InstanceArray

from yolact_ros.errors import InputError
from yolact_ros.ros import outputs
from yolact_ros.ros.bench.measure import measure_node
from yolact_ros.ros.bench.settings import NodeBenchSettings, arrangements, cameras_of
from yolact_ros.ros.bench.viewer import TOPICS, stamp_of


def settings(count, **others):
    return NodeBenchSettings(cameras=cameras_of(count, [(480, 640)], [15.0]), **others)


def test_one_camera_has_the_names_of_a_plain_node():
    [arrangement] = arrangements(settings(1, parameters={"preset": "yolact_demo"}))
    [node] = arrangement.nodes
    assert node.arguments == ()
    assert node.parameters == {"preset": "yolact_demo", "image_transport": "raw"}
    [stream] = arrangement.streams
    assert (stream.image, stream.results) == ("/image", "/yolact/")


def test_several_cameras_of_one_node_are_its_parameter():
    [arrangement] = arrangements(settings(2, transport="compressed"))
    [node] = arrangement.nodes
    assert node.parameters == {"cameras": "[cam0, cam1]", "image_transport": "compressed"}
    assert [stream.image for stream in arrangement.streams] == [
        "/cam0/image/compressed",
        "/cam1/image/compressed",
    ]
    assert [stream.results for stream in arrangement.streams] == ["/yolact/cam0/", "/yolact/cam1/"]


def test_to_compare_every_camera_gets_a_node_in_a_namespace():
    one, many = arrangements(settings(3, compare=True))
    assert len(one.nodes) == 1 and len(many.nodes) == 3
    assert one.name == "one node, 3 cameras" and many.name == "3 nodes, one camera each"
    for number, node in enumerate(many.nodes):
        assert node.arguments == ("-r", f"__ns:=/cam{number}")
        assert "cameras" not in node.parameters
    # the very same cameras
    assert [stream.image for stream in one.streams] == [stream.image for stream in many.streams]
    assert [stream.results for stream in many.streams] == [
        f"/cam{number}/yolact/" for number in range(3)
    ]


def test_sizes_and_rates_are_for_all_or_for_each():
    same = cameras_of(2, [(48, 64)], [5.0])
    assert [(camera.image_size, camera.rate_hz) for camera in same] == [((48, 64), 5.0)] * 2
    each = cameras_of(2, [(48, 64), (96, 128)], [5.0, 7.5])
    assert [camera.name for camera in each] == ["cam0", "cam1"]
    assert [camera.image_size for camera in each] == [(48, 64), (96, 128)]
    assert [camera.rate_hz for camera in each] == [5.0, 7.5]


def test_topics_are_the_node_s_outputs():
    assert {output.topic: output.type for output in outputs._OUTPUTS} == TOPICS


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"topics": ("instances", "masks")}, "topics: expected one of instances, .*, got 'masks'"),
        ({"topics": ("",)}, "topics: expected one of instances, .*, got ''"),
        ({"parameters": {"cameras": "[a]"}}, "parameter: expected one of .*, got 'cameras'"),
        ({"parameters": {"max_instance": "3"}}, "parameter: .*, max_instances, .*'max_instance'"),
    ],
)
def test_what_the_node_does_not_have_is_refused_before_anything_starts(changes, message):
    with pytest.raises(InputError, match=message):
        measure_node(settings(1, **changes))


@pytest.mark.parametrize("seconds, nanoseconds", [(0, 0), (1_795_420_411, 112_445_509)])
def test_the_stamp_is_read_from_the_serialised_message(seconds, nanoseconds):
    from rclpy.serialization import serialize_message

    message = InstanceArray(image_height=7)
    message.header.frame_id = "camera"
    message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
    assert stamp_of(serialize_message(message)) == seconds * 10**9 + nanoseconds
    big_endian = b"\x00\x00\x00\x00" + struct.pack(">iII7s", seconds, nanoseconds, 7, b"camera")
    assert stamp_of(big_endian) == seconds * 10**9 + nanoseconds
