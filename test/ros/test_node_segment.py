# SPDX-License-Identifier: Apache-2.0
"""`~/segment` of one real node: in every state, with images good and bad, while cameras stream.

YOLACT_SEGMENT_CALLS=200 makes as many calls while two cameras stream.
"""

import os
from array import array

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from yolact_ros.msg import InstanceArray
from yolact_ros.srv import Segment

from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.ros.counters import COUNTERS
from yolact_ros.ros.demo.truth import camera_info
from yolact_ros.ros.diagnostics import values_of
from yolact_ros.scenes import DEPTH_MODELS
from yolact_ros.scenes.scene import Scene

CALLS = int(os.environ.get("YOLACT_SEGMENT_CALLS", "12"))
pytestmark = pytest.mark.timeout(300 + 3 * CALLS)


@pytest.fixture(scope="module")
def scene():
    return Scene.random(1_000_123, width=320, height=240, depth_model=DEPTH_MODELS["real"]).frame(0)


def broken(picture, number):
    """The same picture, broken in one of several ways."""
    message = array_to_image(picture, "rgb8", Header())
    return [
        lambda: setattr(message, "data", array("B", bytes(7))),
        lambda: setattr(message, "encoding", "jpeg?"),
        lambda: setattr(message, "step", 1),
        lambda: setattr(message, "width", 0),
        lambda: setattr(message, "height", 2**31),
    ][number % 5]() or message


def ask(peer, service_type, name, *requests):
    """Sends requests and returns their futures."""
    client = peer.node.create_client(service_type, name)
    peer.until(client.service_is_ready, what=f"service {name}")
    return [client.call_async(request) for request in requests]


def begin(peer, label):
    request = ChangeState.Request()
    request.transition.label = label
    return ask(peer, ChangeState, "/yolact/change_state", request)[0]


def change(peer, label):
    future = begin(peer, label)
    peer.until(future.done, timeout=180.0, what=label)
    return future.result().success


def test_every_call_is_answered_in_every_state(start, peer, scene, weights, say):
    node = start("yolact_node", autostart="false", cameras="[front, rear]", **weights)
    node.wait_for("waiting to be configured")
    picture = array_to_image(scene.image, "rgb8", Header(frame_id="arm"))

    def segment(**fields):
        return peer.call(Segment, "/yolact/segment", **fields)

    def refused(words, **fields):
        answer = segment(**fields)
        assert not answer.success and words in answer.message, answer.message
        assert not answer.instances.instances and not answer.objects.objects

    refused("the node is unconfigured", image=picture)
    loading, answers = begin(peer, "configure"), []
    while not loading.done():
        answers.append(segment(image=picture))
    assert loading.result().success
    assert any("configuring (" in answer.message for answer in answers)
    assert all(answer.success or "the node is" in answer.message for answer in answers)

    # Inactive, with nobody who subscribes or publishes.
    answer = segment(image=picture)
    assert answer.success and answer.instances.header == picture.header, answer.message
    found = answer.instances.instances
    assert found and (answer.instances.image_width, answer.instances.image_height) == (320, 240)
    assert "no objects" in answer.message
    name = found[0].class_name
    alone = segment(image=picture, classes=[name]).instances.instances
    assert alone and {each.class_name for each in alone} == {name}
    strict = segment(image=picture, score_threshold=0.99).instances.instances
    lax = segment(image=picture, score_threshold=0.06).instances.instances
    assert len(strict) <= len(found) <= len(lax)
    assert {each.score > 0.15 for each in lax} == {True, False}  # below the node's own
    refused("classes: expected names among", image=picture, classes=["no such thing"])
    refused("score_threshold: expected 0 to 1, got 1.5", image=picture, score_threshold=1.5)
    refused("score_threshold", image=picture, score_threshold=float("nan"))
    refused("camera: expected one of front, rear, got ''")
    refused("camera: expected one of front, rear, got 'top'", camera="top")
    refused("image: expected one on /front/image within 3 s, got none", camera="front")
    for number in range(5):
        refused("expected", image=broken(scene.image, number))

    # A camera with depth and one without, while the node is inactive.
    publishers = {
        name: peer.publisher(kind, name, depth=1)
        for name, kind in (
            ("front/image", Image),
            ("front/depth", Image),
            ("front/camera_info", CameraInfo),
            ("rear/image", Image),
        )
    }
    info, sent = camera_info(scene.intrinsics, Header()), []

    def send():
        header = Header(stamp=peer.node.get_clock().now().to_msg(), frame_id="front")
        info.header = header
        publishers["front/camera_info"].publish(info)
        publishers["front/depth"].publish(array_to_image(scene.depth, "32FC1", header))
        sent.append(array_to_image(scene.image, "rgb8", header))
        publishers["front/image"].publish(sent[-1])
        publishers["rear/image"].publish(array_to_image(scene.image, "rgb8", header))

    peer.node.create_timer(0.25, send)
    for transition in (None, "activate"):
        assert transition is None or change(peer, transition)
        answer = segment(camera="front")
        assert answer.success and answer.instances.header.frame_id == "front"
        assert len(answer.instances.instances) == len(found)
        assert answer.objects.objects, answer.message
        assert answer.objects.header.stamp == answer.instances.header.stamp
        answer = segment(camera="rear")
        assert answer.success and "no depth images are published" in answer.message

    # An image that is sent has the depth of its camera, if the node has that.
    def measured():
        return segment(image=sent[-2], camera="front").objects.objects

    assert segment(camera="front").success
    peer.until(measured, timeout=8.0, what="objects of an image that was sent")
    assert "no depth image" in segment(image=picture, camera="front").message

    # While both stream to somebody: calls cost at most a batch each.
    statuses, results = [], peer.collect(InstanceArray, "/yolact/rear/instances")
    peer.node.create_subscription(DiagnosticArray, "/diagnostics", statuses.append, 10)
    peer.collect(InstanceArray, "/yolact/front/instances")
    peer.until(lambda: len(results) > 5, what="results")

    def dropped():
        statuses.clear()
        peer.until(lambda: len(statuses) > 1, what="diagnostics")
        values = values_of(statuses[-1].status[0])
        counted = ("replaced", "processed", "received", "failed")
        return [int(values[COUNTERS[name]]) for name in counted]

    before = dropped()
    for number in range(CALLS):
        fields = [
            {"image": picture},
            {"camera": "front"},
            {"image": broken(scene.image, number // 4)},
            {"camera": "rear", "classes": [name], "score_threshold": 0.5},
        ][number % 4]
        answer = segment(**fields)
        assert answer.success == (number % 4 != 2) and answer.message, answer.message
    replaced, processed, received, failed = (b - a for a, b in zip(before, dropped(), strict=True))
    say(f"{CALLS} calls: {replaced} of {received} frames replaced, {failed} failed")
    # A batch is one frame of each camera. On a machine that is too busy for the cameras, frames are
    # replaced without calls, too: then there is a batch between any two calls that are computed,
    # which those of broken images, a quarter, are not.
    computed = CALLS - CALLS // 4
    assert (replaced <= 2 * CALLS or processed >= 2 * (computed - 1)) and not failed

    # Calls that wait for their turn while the node is changed, and when it ends.
    def ask_often():
        return ask(peer, Segment, "/yolact/segment", *[Segment.Request(image=picture)] * 8)

    answers = ask_often()
    assert change(peer, "deactivate")
    peer.until(lambda: all(answer.done() for answer in answers), what="answers")
    assert all(answer.result().success for answer in answers)
    answers = ask_often()
    peer.until(lambda: any(answer.done() for answer in answers), what="an answer")
    assert change(peer, "cleanup")
    peer.until(lambda: all(answer.done() for answer in answers), what="answers")
    for answer in (answer.result() for answer in answers):
        assert answer.success or "configure it" in answer.message, answer.message
    refused("the node is unconfigured", image=picture)
    assert change(peer, "configure")
    answers = ask_often()
    peer.until(lambda: any(answer.done() for answer in answers), what="an answer")
    assert node.interrupt()[0] == 0
    assert not node.lines("Traceback|error in a callback")
