# SPDX-License-Identifier: Apache-2.0
"""Which messages are made, with publishers that the test controls."""

import numpy as np
import pytest
from rclpy.clock import Clock
from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import Header

from yolact_ros.recordings.images.compressed import compressed_to_array
from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.ros.conversion import instances as messages
from yolact_ros.ros.outputs import ClassList, Outputs, Result, SpaceResult
from yolact_ros.space import Camera
from yolact_ros.structures import Instances, Objects, PackedMask
from yolact_ros.visualization import OverlayStyle, encode_jpeg

TOPICS = {"instances", "detections", "instance_map", "class_map", "confidence_map", "overlay"}
TOPICS |= {"overlay/compressed"}
IN_SPACE = {"objects", "detections_3d", "markers", "points"}


class FakePublisher:
    def __init__(self, qos):
        self.subscribers, self.published, self.qos = 0, [], qos

    def get_subscription_count(self):
        return self.subscribers

    def publish(self, message):
        self.published.append(message)


class FakePublishers:
    """In the place of `Publishers`."""

    def __init__(self):
        self.publishers = {}

    def create(self, message_type, topic, qos):
        return self.publishers.setdefault(topic.removeprefix("~/"), FakePublisher(qos))


@pytest.fixture
def sending():
    return FakePublishers()


@pytest.fixture
def outputs(sending):
    outputs = Outputs(sending)
    outputs.open()
    return outputs


@pytest.fixture
def result():
    instances = Instances(
        image_size=(4, 5),
        boxes=np.array([[1, 1, 4, 3]], np.float32),
        scores=np.array([0.5], np.float32),
        class_ids=np.array([2]),
        class_names=("can",),
        packed_masks=(PackedMask.from_array(np.ones((2, 3), bool), 1, 1),),
    )
    image = ImageArray(np.zeros((4, 5, 3), np.uint8), "bgr")
    return Result(Header(frame_id="c"), instances, image, OverlayStyle(), jpeg_quality=90)


def test_what_is_wanted_is_what_is_subscribed_to(sending, outputs):
    assert outputs.wanted() == frozenset()
    sending.publishers["overlay"].subscribers = sending.publishers["instances"].subscribers = 2
    assert outputs.wanted() == {"overlay", "instances"}


DRAWN = {"overlay", "overlay/compressed"}


@pytest.mark.parametrize(
    "wanted", [set(), {"overlay"}, {"overlay/compressed"}, DRAWN, TOPICS - DRAWN, TOPICS]
)
def test_nothing_is_made_that_nobody_wants(sending, outputs, result, wanted, monkeypatch):
    made = []
    maps = ("instance_map", "class_map", "confidence_map")
    for name in ("instance_array", "detection_array", *maps, "overlay", "compressed_overlay"):
        make = getattr(messages, name)

        def note(*arguments, name=name, make=make):
            made.append(name)
            return make(*arguments)

        monkeypatch.setattr(messages, name, note)
    times = outputs.publish(result, frozenset(wanted))
    assert len(made) == len(wanted - DRAWN) + bool(wanted & DRAWN) + (
        "overlay/compressed" in wanted
    )
    assert made.count("overlay") == bool(wanted & DRAWN)  # drawn once for both
    sent = {topic: len(publisher.published) for topic, publisher in sending.publishers.items()}
    assert sent == {topic: int(topic in wanted) for topic in TOPICS | IN_SPACE}
    stages = {"overlay"} if wanted & DRAWN else set()
    stages |= {"overlay encode"} if "overlay/compressed" in wanted else set()
    stages |= {"message"} if wanted - DRAWN else set()
    assert set(times) == stages | ({"publish"} if wanted else set())
    assert all(milliseconds > 0 for milliseconds in times.values())


@pytest.fixture
def space_result(result):
    objects = Objects(
        instances=np.array([1]),
        centres=np.array([[0.1, 0.2, 0.8]]),
        sizes=np.array([[0.1, 0.2, 0.3]]),
        orientations=np.array([[0.0, 0.0, 0.0, 1.0]]),
        covariances=np.eye(6)[None],
        coverages=np.ones(1, np.float32),
        points=np.array([6]),
    )
    return SpaceResult(
        header=Header(frame_id="map"),
        image_header=result.header,
        instances=result.instances,
        objects=objects,
        track_ids=None,
        moving=None,
        depth=np.full((4, 5), 0.8, np.float32),
        camera=Camera(width=5, height=4, fx=5.0, fy=5.0, cx=2.0, cy=1.5),
        image=result.image,
        organised=False,
    )


@pytest.mark.parametrize("wanted", [{"objects"}, {"points"}, TOPICS | IN_SPACE])
def test_what_needs_depth_is_published_apart(sending, outputs, space_result, wanted):
    times = outputs.publish(space_result, frozenset(wanted), sending="objects publish")
    sent = {topic for topic, publisher in sending.publishers.items() if publisher.published}
    assert sent == wanted & IN_SPACE
    stages = {"objects message"} if wanted & (IN_SPACE - {"points"}) else set()
    assert set(times) == stages | ({"points"} & wanted) | {"objects publish"}
    for topic in sent - {"markers"}:
        [message] = sending.publishers[topic].published
        assert message.header.frame_id == ("c" if topic == "points" else "map")


def test_points_are_best_effort_and_everything_else_is_reliable(sending, outputs):
    reliable = {
        topic
        for topic, publisher in sending.publishers.items()
        if publisher.qos.reliability == ReliabilityPolicy.RELIABLE
    }
    assert reliable == TOPICS | IN_SPACE - {"points"}
    assert sending.publishers["points"].qos.depth == 1


def test_building_and_sending_are_timed_apart(sending, outputs, result, monkeypatch):
    now = iter(range(100))
    clock = lambda: float(next(now))  # noqa: E731
    monkeypatch.setattr("yolact_ros.ros.outputs.time.perf_counter", clock)
    times = outputs.publish(result, frozenset(TOPICS))
    # Each reading is one second later: a second to make and one to send each of seven messages;
    # the overlay's is made in the first of its two.
    assert times == {
        "message": 5000.0,
        "overlay": 3000.0,
        "overlay encode": 1000.0,
        "publish": 7000.0,
    }


def test_the_compressed_overlay_is_the_overlay_in_the_form_of_image_transport(
    sending, outputs, result
):
    outputs.publish(result, frozenset(DRAWN))
    [drawn], [packed] = (sending.publishers[topic].published for topic in sorted(DRAWN))
    assert packed.header == drawn.header == result.header
    assert packed.format == "bgr8; jpeg compressed bgr8"
    assert packed.data.tobytes() == encode_jpeg(
        np.frombuffer(drawn.data, np.uint8).reshape(4, 5, 3), result.jpeg_quality
    )
    assert compressed_to_array(packed).pixels.shape == (4, 5, 3)


def test_pictures_go_out_behind_everything_else(sending, outputs, result):
    order = []
    for topic, publisher in sending.publishers.items():
        publisher.publish = lambda message, topic=topic: order.append(topic)
    outputs.publish(result, frozenset(TOPICS))
    assert order[0] == "instances" and set(order[-2:]) == DRAWN


def test_a_camera_s_topics_begin_with_its_name_and_the_class_list_s_does_not(sending):
    Outputs(sending, "front/")
    ClassList(sending, Clock())
    topics = TOPICS | IN_SPACE
    assert set(sending.publishers) == {f"front/{topic}" for topic in topics} | {"label_info"}


def test_nothing_goes_out_while_shut_even_of_a_result_that_is_being_published(
    sending, outputs, result, monkeypatch
):
    outputs.shut()
    outputs.publish(result, frozenset(TOPICS))
    assert not any(publisher.published for publisher in sending.publishers.values())
    outputs.open()
    make = messages.detection_array

    def shut_meanwhile(*arguments):
        outputs.shut()
        return make(*arguments)

    monkeypatch.setattr(messages, "detection_array", shut_meanwhile)
    outputs.publish(result, frozenset(TOPICS))
    sent = {topic for topic, publisher in sending.publishers.items() if publisher.published}
    assert sent == {"instances"}
