# SPDX-License-Identifier: Apache-2.0
import threading

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from yolact_ros.ros.counters import COUNTERS, WINDOW, Counters
from yolact_ros.ros.diagnostics import CameraState, Diagnostics, NetworkState, NodeState, values_of

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def one_camera(counters, lifecycle="active", problem="", topic="/image", publishers=1):
    snapshot = counters.snapshot()
    camera = CameraState("", topic, publishers, False, snapshot)
    return NodeState(
        "yolact", lifecycle, snapshot, problem, network=NetworkState(device="cpu"), cameras=[camera]
    )


def message_of(state, now=1.0):
    return Diagnostics().message(state, now, Time(sec=3))


@pytest.mark.parametrize(
    "state, counted, level, text",
    [
        ({"lifecycle": "unconfigured", "problem": "not configured: x"}, {}, ERROR, "x"),
        ({"lifecycle": "inactive"}, {}, OK, "node is inactive"),
        ({"topic": "/c", "publishers": 0}, {}, WARN, "nobody publishes /c"),
        ({}, {}, WARN, "none came on /image"),
        ({}, {"received": 5, "processed": 5}, OK, "segmenting"),
        ({}, {"received": 5, "unwanted": 5}, OK, "idle"),
        ({}, {"received": 5, "bad": 2}, WARN, "2 malformed frames"),
        ({}, {"received": 5, "lost": 7, "too_old": 1}, WARN, "7 frames lost in DDS, 1 frames"),
        ({}, {"received": 5, "failed": 3, "bad": 1}, ERROR, "3 frames could not be segmented"),
    ],
)
def test_level_and_summary(state, counted, level, text):
    counters = Counters()
    for counter, amount in counted.items():
        counters.count(counter, amount)
    message = message_of(one_camera(counters, **state))
    [status] = message.status
    assert message.header.stamp.sec == 3
    assert status.name == "yolact: segmentation" and status.hardware_id == "cpu"
    assert status.level == level and text in status.message


def test_an_unconfigured_node_has_no_camera_and_says_its_problem():
    state = NodeState("yolact", "unconfigured", Counters().snapshot(), "not configured: x")
    [status] = message_of(state).status
    assert (status.level, status.message) == (ERROR, "not configured: x")


def test_only_what_is_new_counts_for_the_level_and_the_rate():
    counters, diagnostics = Counters(), Diagnostics()
    counters.count("received", 10)
    counters.count("bad", 10)
    [first] = diagnostics.message(one_camera(counters), 10.0, Time()).status
    counters.count("received", 30)
    counters.count("processed", 30)
    [second] = diagnostics.message(one_camera(counters), 12.0, Time()).status
    assert (first.level, second.level) == (WARN, OK)
    values = values_of(second)
    assert "rate received (Hz)" not in values_of(first)
    assert values["rate received (Hz)"] == values["rate processed (Hz)"] == "15.0"
    assert values[COUNTERS["bad"]] == "10" and values[COUNTERS["received"]] == "40"
    assert "frames in a batch (mean)" not in values
    # Counts begin anew when the node is configured again.
    [third] = diagnostics.message(one_camera(Counters()), 13.0, Time()).status
    assert "none came" in third.message


class Cameras:
    """A node with the cameras front and rear."""

    def __init__(self):
        self.whole = Counters()
        self.front, self.rear = Counters(total=self.whole), Counters(total=self.whole)
        self._diagnostics, self._now = Diagnostics(), 0.0

    def statuses(self, publishers=(1, 1)):
        self._now += 2.0
        cameras = [
            CameraState(name, f"/{name}/image", count, reliable, counters.snapshot())
            for name, count, reliable, counters in (
                ("front", publishers[0], True, self.front),
                ("rear", publishers[1], False, self.rear),
            )
        ]
        state = NodeState(
            "yolact",
            "active",
            self.whole.snapshot(),
            network=NetworkState(device="cuda:0"),
            cameras=cameras,
        )
        return self._diagnostics.message(state, self._now, Time()).status


def test_each_camera_has_a_status_and_the_node_s_counts_are_their_sums():
    node = Cameras()
    node.statuses()
    for counters, count, age in ((node.front, 20, 30.0), (node.rear, 10, 50.0)):
        counters.count("received", count)
        counters.count("processed", count // 2)
        counters.record("age", age)
    node.whole.record("network", 9.0)
    for size in (2, 2, 1):
        node.whole.record_batch(size)
    whole, front, rear = node.statuses()
    assert [status.name for status in (whole, front, rear)] == [
        "yolact: segmentation",
        "yolact: front",
        "yolact: rear",
    ]
    assert {status.hardware_id for status in (whole, front, rear)} == {"cuda:0"}
    assert {status.message for status in (whole, front, rear)} == {"segmenting"}
    shown = [values_of(status) for status in (whole, front, rear)]
    assert [values[COUNTERS["received"]] for values in shown] == ["30", "20", "10"]
    assert [values["rate processed (Hz)"] for values in shown] == ["7.5", "5.0", "2.5"]
    assert [values["age p50 (ms)"] for values in shown] == ["40.00", "30.00", "50.00"]
    assert [values["image topic"] for values in shown] == [
        "/front/image, /rear/image",
        "/front/image",
        "/rear/image",
    ]
    assert [values["reliability"] for values in shown][1:] == ["reliable", "best effort"]
    assert shown[0]["publishers"] == "2" and shown[1]["publishers"] == "1"
    assert shown[0]["frames in a batch (mean)"] == "1.67"
    assert shown[0]["network p50 (ms)"] == "9.00" and "network p50 (ms)" not in shown[1]


def test_a_camera_is_judged_alone_and_the_node_by_the_worst_of_them():
    node = Cameras()
    node.front.count("received", 5)
    node.front.count("processed", 5)
    whole, front, rear = node.statuses(publishers=(1, 0))
    assert (whole.level, front.level, rear.level) == (WARN, OK, WARN)
    assert whole.message == "rear: waiting for images: nobody publishes /rear/image"
    for counters in (node.front, node.rear):
        counters.count("received", 5)
    node.rear.count("failed", 2)
    whole, front, rear = node.statuses()
    assert (whole.level, front.level, rear.level) == (ERROR, OK, ERROR)
    node.front.count("received", 5)
    node.rear.count("received", 5)
    node.rear.count("unwanted", 5)
    whole, _, rear = node.statuses()
    assert (whole.message, rear.message) == (
        "segmenting",
        "idle: nobody subscribes to a result",
    )


def test_times_are_percentiles_of_the_last_frames():
    counters = Counters()
    for _ in range(1000):
        counters.record("network", 1e6)
    for milliseconds in range(WINDOW):
        counters.record("network", milliseconds)
    assert counters.snapshot().times["network"] == pytest.approx((127.5, 242.25))


@pytest.mark.parametrize("count", [1, 2, 3, 100, WINDOW])
def test_percentiles_are_numpy_s(count):
    counters = Counters()
    values = np.random.default_rng(count).exponential(size=count)
    for value in values:
        counters.record("network", float(value))
    expected = np.percentile(values, [50, 95])
    assert counters.snapshot().times["network"] == pytest.approx(tuple(expected))


def test_counting_from_many_threads_loses_nothing():
    counters = Counters()
    threads = [
        threading.Thread(target=lambda: [counters.count("received") for _ in range(2000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.snapshot().counts["received"] == 8000
