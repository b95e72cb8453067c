# SPDX-License-Identifier: Apache-2.0
import math
from array import array

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo
from yolact_ros.msg import InstanceArray, Mask

from yolact_ros.masks import full_mask
from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.ros.conversion import instances as messages
from yolact_ros.structures import Instances, PackedMask
from yolact_ros.visualization import OverlayStyle, draw_overlay

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id="camera_optical_frame")


def wire(message):
    """What a subscriber gets."""
    return deserialize_message(serialize_message(message), type(message))


@pytest.fixture
def masks():
    masks = np.zeros((2, 6, 9), bool)
    masks[0, 1:4, 2:8] = True
    masks[1, 3:6, 0:4] = True
    return masks


@pytest.fixture
def instances(masks):
    return Instances(
        image_size=(6, 9),
        boxes=np.array([[2, 1, 8, 4], [0.5, 3, 4, 6]], np.float32),
        scores=np.array([0.9, 0.4], np.float32),
        class_ids=np.array([3, 0]),
        class_names=("bottle", "ball"),
        packed_masks=tuple(PackedMask.from_array(mask) for mask in masks),
    )


def test_instance_array(instances, masks):
    message = wire(messages.instance_array(instances, HEADER))
    assert isinstance(message, InstanceArray)
    assert message.header == HEADER
    assert (message.image_height, message.image_width) == (6, 9)
    first, second = message.instances
    assert (first.class_id, first.class_name, first.track_id) == (3, "bottle", 0)
    assert first.score == np.float32(0.9) and math.isnan(first.mask_score)
    center = second.bbox.center
    assert (center.position.x, center.position.y, center.theta) == (2.25, 4.5, 0.0)
    assert (second.bbox.size_x, second.bbox.size_y) == (3.5, 3.0)
    for instance, mask in zip(message.instances, masks, strict=True):
        np.testing.assert_array_equal(full_mask(instance.mask, 6, 9), mask)


def test_tracks_are_numbers_in_both_messages(instances):
    track_ids = np.array([2**31, 0])
    message = wire(messages.instance_array(instances, HEADER, track_ids))
    assert [instance.track_id for instance in message.instances] == [2**31, 0]
    detections = wire(messages.detection_array(instances, HEADER, track_ids)).detections
    assert [detection.id for detection in detections] == ["2147483648", ""]


def test_mask_scores_are_published_where_there_are_any(instances):
    scored = Instances(
        **{**vars(instances), "mask_scores": np.array([0.25, 0.75], dtype=np.float32)}
    )
    message = wire(messages.instance_array(scored, HEADER))
    assert [instance.mask_score for instance in message.instances] == [0.25, 0.75]


def test_detections(instances):
    message = wire(messages.detection_array(instances, HEADER))
    assert isinstance(message, Detection2DArray)
    assert message.header == HEADER
    for i, detection in enumerate(message.detections):
        assert detection.header == HEADER and detection.id == ""
        [result] = detection.results
        assert result.hypothesis.class_id == ("3", "0")[i]
        assert result.hypothesis.score == pytest.approx((0.9, 0.4)[i])
    assert message.detections[0].bbox.size_x == 6.0


def test_label_info():
    message = wire(messages.label_info(("ball", "box"), 0.3, HEADER))
    assert isinstance(message, LabelInfo)
    listed = [(item.class_id, item.class_name) for item in message.class_map]
    assert listed == [(0, "ball"), (1, "box")]
    assert message.threshold == pytest.approx(0.3)


def test_maps(instances, masks):
    numbers, classes = (
        wire(make(instances, HEADER)) for make in (messages.instance_map, messages.class_map)
    )
    assert isinstance(numbers, Image) and numbers.header == classes.header == HEADER
    assert (numbers.encoding, numbers.step, classes.encoding, classes.step) == (
        "16UC1",
        18,
        "8UC1",
        9,
    )
    # The first instance scores better, and lies on top.
    expected = np.where(masks[0], 1, np.where(masks[1], 2, 0))
    got = np.frombuffer(numbers.data, np.uint16).reshape(6, 9)
    np.testing.assert_array_equal(got, expected)
    expected = np.where(masks[0], 3, np.where(masks[1], 0, 255))
    np.testing.assert_array_equal(np.frombuffer(classes.data, np.uint8).reshape(6, 9), expected)


def test_nothing_found():
    nothing = Instances(
        image_size=(2, 3),
        boxes=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        class_ids=np.zeros(0, np.int64),
        class_names=(),
        packed_masks=(),
    )
    assert wire(messages.instance_array(nothing, HEADER)).instances == []
    assert wire(messages.detection_array(nothing, HEADER)).detections == []
    assert set(wire(messages.class_map(nothing, HEADER)).data) == {255}
    assert set(wire(messages.instance_map(nothing, HEADER)).data) == {0}


@pytest.fixture
def pixels():
    return np.random.default_rng(4).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("padded", [False, True])
def test_overlay(instances, pixels, order, padded):
    given = pixels[..., ::-1] if order == "rgb" else pixels
    if padded:  # as an image with alpha, whose rows and pixels have gaps
        given = np.dstack([given, np.zeros((6, 9), np.uint8)])[..., :3]
    before = given.copy()
    style = OverlayStyle(opacity=0.3, labels=False)
    image = messages.overlay(ImageArray(given, order), instances, style, HEADER)
    assert (image.height, image.width, image.encoding, image.step) == (6, 9, "bgr8", 27)
    assert image.header == HEADER
    expected = draw_overlay(pixels, instances, style)
    assert (expected != pixels).any()
    assert bytes(image.data) == expected.tobytes()
    np.testing.assert_array_equal(given, before)


def test_bytes_are_copied_once_and_in_one_piece(instances, pixels, monkeypatch):
    """Setters of messages copy or check each byte; they get none."""
    for kind in (Mask, Image):
        plain = kind.data

        def watch(message, value, plain=plain):
            assert len(value) == 0, "data went through a setter"
            plain.fset(message, value)

        monkeypatch.setattr(kind, "data", property(plain.fget, watch))
    found = messages.instance_array(instances, HEADER)
    image = ImageArray(pixels, "bgr")
    made = [
        messages.instance_map(instances, HEADER),
        messages.class_map(instances, HEADER),
        messages.overlay(image, instances, OverlayStyle(), HEADER),
    ]
    for message in (*made, *(item.mask for item in found.instances)):
        assert type(message.data) is array and message.data.typecode == "B"
        assert len(message.data) == message.height * message.step > 0
    for item, mask in zip(found.instances, instances.packed_masks, strict=True):
        assert bytes(item.mask.data) == mask.data.tobytes()
    with pytest.raises(AssertionError, match="through a setter"):
        Image(data=[1])


def test_messages_keep_their_bytes_when_the_masks_memory_is_used_again(instances):
    message = messages.instance_array(instances, HEADER)
    before = [bytes(item.mask.data) for item in message.instances]
    for mask in instances.packed_masks:
        mask.data[:] = 0
    assert [bytes(item.mask.data) for item in message.instances] == before
    assert any(any(data) for data in before)
