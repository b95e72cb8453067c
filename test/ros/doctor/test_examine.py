# SPDX-License-Identifier: Apache-2.0
"""What the doctor finds in a real ROS graph, and that it is gone once the remedy is followed."""

import os
import subprocess
import threading
import time

import pytest
from sensor_msgs.msg import CompressedImage, Image
from yolact_ros.msg import InstanceArray

from yolact_ros.findings import ERROR, NOT_CHECKED, OK, WARNING
from yolact_ros.ros.doctor import graph, machine, segments
from yolact_ros.ros.doctor.examine import Question, examine_ros
from yolact_ros.ros.doctor.parameters import check_parameters
from yolact_ros.ros.fastdds_profile import PROFILE_VARIABLES
from yolact_ros.ros.middleware import profile_path

SECONDS = 1.0


class Camera:
    """Publishes small images of the peer at 20 Hz in a thread of its own."""

    def __init__(self, peer, topic="/camera/image", kind=Image, late=0.0, reliable=False):
        self._node, self._late = peer.node, late
        self._publisher = peer.publisher(kind, topic, reliable)
        self._ended = threading.Event()
        if kind is Image:
            self._message = Image(height=4, width=6, step=18, encoding="rgb8", data=bytes(72))
        else:
            import cv2
            import numpy as np

            data = cv2.imencode(".png", np.zeros((4, 6, 3), np.uint8))[1].tobytes()
            self._message = CompressedImage(format="rgb8; png compressed bgr8", data=data)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()
        self._node.destroy_publisher(self._publisher)

    def _run(self):
        while not self._ended.wait(0.05):
            now = self._node.get_clock().now().nanoseconds - int(self._late * 1e9)
            stamp = self._message.header.stamp
            stamp.sec, stamp.nanosec = divmod(now, 10**9)
            self._publisher.publish(self._message)


@pytest.fixture
def ask(domain_id):
    """Examines until something holds, and gives the finding of each check by its name."""

    def ask(until, **question):
        deadline = time.monotonic() + 60
        while True:
            findings = examine_ros(Question(domain_id=domain_id, seconds=SECONDS, **question))
            found = {each.name: each for each in findings}
            # on a busy machine, the nodes may not have found each other within this second
            if until(found) or time.monotonic() > deadline:
                return found

    return ask


def seen(name):
    """Whether a check was made that needs a camera to be found."""
    return lambda found: name in found


def with_remedy(name, text):
    """Whether a check says what to do."""
    return lambda found: name in found and text in found[name].remedy


def test_a_camera_that_is_all_right(ask, peer):
    with Camera(peer):
        found = ask(seen("stamps"), image="/camera/image")
    del found["shared memory"]  # is the machine's
    assert [each for each in found.values() if each.level not in (OK, NOT_CHECKED)] == []
    assert "1 publisher found (/test_peer)" in found["image topic"].found
    assert "Hz" in found["images"].found and "6 x 4, rgb8" in found["encoding"].found
    assert f"process {os.getpid()}" in found["camera's memory"].found
    assert found["parameters"].level == NOT_CHECKED


def test_the_topic_is_another_or_has_another_type(ask, peer):
    with Camera(peer, "/camera/image/compressed", CompressedImage):
        said = with_remedy("image topic", "image_transport to compressed")
        assert ask(said, image="/camera/image")["image topic"].level == ERROR
        # the remedy
        right = ask(seen("encoding"), image="/camera/image", transport="compressed")
        assert right["image topic"].level == right["encoding"].level == OK
        unnamed = ask(lambda found: "/camera" in found["image topic"].found)["image topic"]
        assert "/camera/image/compressed" in unnamed.found and "--image" in unnamed.remedy
    with Camera(peer, "/front/image"):
        said = with_remedy("image topic", "/front/image")
        assert ask(said, image="/camera/image")["image topic"].level == ERROR


def test_quality_of_service_that_the_camera_does_not_offer(ask, peer, tmp_path):
    file = tmp_path / "yolact.yaml"
    text = (
        "yolact:\n  ros__parameters:\n    qos_overrides:\n      /camera/image:\n"
        "        subscription:\n          reliability: {}\n"
    )
    file.write_text(text.format("reliable"))
    with Camera(peer):
        made = seen("quality of service")
        found = ask(made, image="/camera/image", parameters=file)["quality of service"]
        assert found.level == ERROR and "/test_peer offers best_effort" in found.found
        name = "qos_overrides./camera/image.subscription.reliability"
        assert f"{name} set to best_effort" in found.remedy
        file.write_text(text.format("best_effort"))
        after = ask(seen("stamps"), image="/camera/image", parameters=file)
        assert after["quality of service"].level == after["images"].level == OK


def test_no_image_comes(ask, peer):
    peer.publisher(Image, "/camera/image")
    found = ask(seen("images"), image="/camera/image")["images"]
    assert found.level == ERROR and "FASTDDS_BUILTIN_TRANSPORTS" in found.remedy


@pytest.mark.parametrize("late", [5.0, -3600.0, 1e5])
def test_stamps_of_another_clock(ask, peer, late):
    with Camera(peer, late=late):
        found = ask(seen("stamps"), image="/camera/image")["stamps"]
    assert found.level == WARNING and "synchronise the clocks" in found.remedy
    assert "old" in found.found or "future" in found.found


def test_two_nodes_of_one_name(ask, peer, domain_id):
    import rclpy

    twin = rclpy.create_node("test_peer", context=peer.context)
    found = ask(with_remedy("node names", "__node:=NAME"))["node names"]
    assert found.level == WARNING and "2 nodes are called /test_peer" in found.found
    twin.destroy_node()
    renamed = rclpy.create_node("other", context=peer.context)
    after = ask(lambda found: found["node names"].found.startswith("2 nodes, each"))
    assert after["node names"].level == OK
    renamed.destroy_node()


def test_definitions_of_messages(ask, peer):
    peer.publisher(InstanceArray, "/yolact/instances")
    kind = "yolact_ros/msg/InstanceArray"
    hashes = graph.hashes_of(peer.node)
    if not hashes:
        pytest.skip("this ROS 2 tells no hashes")
    after = ask(lambda found: found["message definitions"].found.startswith("1 types"))
    assert after["message definitions"].level == OK
    assert hashes[kind]["/test_peer"] == hashes[kind][graph.HERE]
    hashes[kind]["/old"] = "RIHS01_" + "0" * 63 + "1"
    found = graph.check_hashes(hashes)
    assert found.level == ERROR and "/old has RIHS01_0" in found.found
    assert "same version of yolact_ros" in found.remedy


@pytest.mark.parametrize(
    ("text", "level", "said", "remedy", "mended"),
    [
        (
            "yolact_node: {ros__parameters: {nms: exact}}",
            ERROR,
            "only for /yolact_node",
            "write /yolact or /** instead",
            "/**: {ros__parameters: {nms: exact}}",
        ),
        (
            "yolact: {ros__parameters: {score_treshold: 0.3}}",
            WARNING,
            "unknown parameter score_treshold",
            "did you mean score_threshold?",
            "yolact: {ros__parameters: {score_threshold: 0.3}}",
        ),
        (
            "yolact: {ros__parameters: {score_threshold: 3}}",
            ERROR,
            "score_threshold: expected a number from 0 to 1",
            "set score_threshold to what is expected",
            "yolact: {ros__parameters: {score_threshold: 1}}",
        ),
        (
            "yolact: [",
            ERROR,
            "cannot be read",
            "config/yolact.yaml",
            "yolact: {}\n/**: {ros__parameters: {}}",
        ),
    ],
)
def test_a_parameter_file_that_the_node_would_not_take(tmp_path, text, level, said, remedy, mended):
    file = tmp_path / "parameters.yaml"
    file.write_text(text)
    [found] = check_parameters(file, "/yolact")
    assert found.level == level and said in found.found and remedy in found.remedy
    file.write_text(mended)
    [found] = check_parameters(file, "/yolact")
    assert found.level == OK, found


def test_a_profile_that_fast_dds_ignores(tmp_path):
    two, three = PROFILE_VARIABLES

    def check(read=two, **variables):
        return machine.check_profile("rmw_fastrtps_cpp", variables, read)

    missing = check(FASTRTPS_DEFAULT_PROFILES_FILE=str(tmp_path / "fastdds.xml"))
    assert missing.level == ERROR and "No such file" in missing.found
    assert missing.remedy == f"export FASTRTPS_DEFAULT_PROFILES_FILE={profile_path()}"
    assert check(FASTRTPS_DEFAULT_PROFILES_FILE=str(profile_path())).level == OK
    (tmp_path / "fastdds.xml").write_text("<profiles>")
    assert check(FASTRTPS_DEFAULT_PROFILES_FILE=str(tmp_path / "fastdds.xml")).level == ERROR
    for read, level, other in ((two, ERROR, three), (three, WARNING, two)):
        found = check(read, **{other: str(profile_path())})
        assert found.level == level and f"reads {read}, and only {other} is set" in found.found
        assert found.remedy == f"unset {other}; export {read}={profile_path()}"
        assert check(read, **{read: str(profile_path())}).level == OK


def test_shared_memory_that_is_full_or_left_behind(tmp_path, monkeypatch):
    for name in ("fastrtps_1", "fastrtps_1_el"):
        (tmp_path / name).write_bytes(bytes(1000))
    found = machine.check_shared_memory(tmp_path)
    assert found.level == WARNING and "left 1 segments" in found.found
    assert found.remedy == "fastdds shm clean"
    for file in tmp_path.iterdir():
        file.unlink()
    assert machine.check_shared_memory(tmp_path).level == OK
    monkeypatch.setattr(machine, "_LEAST_FREE", 1 << 60)
    full = machine.check_shared_memory(tmp_path)
    assert full.level == ERROR and "--ipc=host" in full.remedy


def test_a_camera_with_the_segment_of_the_default_profile(ask, start, peer):
    """In a process of its own; that of this process has the shipped profile."""
    start("still_camera.py", "/image", "1280", "720", profile=False)
    peer.until(lambda: peer.node.count_publishers("/image"), what="camera")
    found = ask(seen("stamps"), image="/image")["camera's memory"]
    assert found.level == WARNING and "its segment has 0." in found.found, found
    assert "an image 2.8 MB" in found.found
    assert str(profile_path()) in found.remedy


def test_a_camera_of_another_user():
    host, nobody = bytes([1, 15, 7, 7]), 65534
    if os.geteuid() == 0:
        with subprocess.Popen(["sleep", "60"], user=nobody) as process:
            low = (process.pid & 0xFFFF).to_bytes(2, "little")
            sender = segments.find_sender(host + low + bytes(10), host + bytes(12))
            process.kill()
        assert sender.pid == process.pid and sender.owner == nobody
        assert segments.find_sender(bytes(4) + low + bytes(10), host + bytes(12)) is None
    sender = segments.Sender(pid=77, owner=nobody, segment=None)
    silent = segments.check_sender(sender, 1000, 0, "rmw_fastrtps_cpp")
    assert silent.level == ERROR and "runs as user nobody" in silent.found
    assert "run both as one user" in silent.remedy
    seen = segments.check_sender(sender, 1000, 72, "rmw_fastrtps_cpp")
    assert seen.level == WARNING
    own = segments.Sender(pid=77, owner=1000, segment=16_000_000)
    assert segments.check_sender(own, 1000, 0, "rmw_fastrtps_cpp").level == OK
    assert segments.check_sender(None, 1000, 0, "rmw_fastrtps_cpp").level == NOT_CHECKED
