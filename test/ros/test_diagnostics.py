# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math
import threading

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from yolact_ros.ros.counters import COUNTERS, SPACE_COUNTERS, WINDOW, Counters
from yolact_ros.ros.diagnostics import (
    CameraState,
    DepthState,
    Diagnostics,
    NetworkState,
    NodeState,
    values_of,
)

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class FakeTime:
    """The clock of counters and messages."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return FakeTime()


def one_camera(counters, lifecycle="active", problem="", topic="/image", publishers=1, wanted=True):
    snapshot = counters.snapshot()
    camera = CameraState("", snapshot, topic, publishers, wanted=wanted)
    return NodeState(
        "/left/yolact",
        lifecycle,
        snapshot,
        problem,
        network=NetworkState("yolact_demo", "cpu", "bf16", "measured: 2 times as fast"),
        cameras=[camera],
        active_since=90.0,
    )


def message_of(state, now=100.0):
    return Diagnostics().message(state, now, Time(sec=3))


@pytest.mark.parametrize(
    "state, counted, level, text",
    [
        ({"lifecycle": "unconfigured", "problem": "not configured: x"}, {}, ERROR, "x"),
        ({"lifecycle": "inactive", "wanted": False}, {}, OK, "node is inactive"),
        ({"lifecycle": "inactive"}, {}, WARN, "node is inactive, and somebody subscribes"),
        ({"topic": "/c", "publishers": 0}, {}, WARN, "waiting for images on /c: none"),
        ({}, {}, WARN, "on /image: none came yet"),
        ({}, {"received": 5, "processed": 5}, OK, "segmenting"),
        ({"wanted": False}, {"received": 5, "unwanted": 5}, OK, "idle"),
        ({}, {"received": 5, "bad": 2}, WARN, "2 malformed frames"),
        ({}, {"received": 5, "lost": 7, "too_old": 1}, WARN, "7 frames lost in DDS, 1 frames"),
        ({}, {"received": 5, "failed": 3, "bad": 1}, ERROR, "3 frames could not be segmented"),
    ],
)
def test_level_and_summary(clock, state, counted, level, text):
    counters = Counters(clock=clock)
    for counter, amount in counted.items():
        counters.count(counter, amount)
    message = message_of(one_camera(counters, **state))
    [status] = message.status
    assert message.header.stamp.sec == 3
    assert status.name == "left/yolact: segmentation" and status.hardware_id == "cpu"
    assert status.level == level and text in status.message
    values = values_of(status)
    assert (values["precision"], values["precision_reason"]) == (
        "bf16",
        "measured: 2 times as fast",
    )


def test_an_unconfigured_node_has_no_camera_and_says_its_problem():
    state = NodeState("yolact", "unconfigured", Counters().snapshot(), "not configured: x")
    [status] = message_of(state).status
    assert (status.level, status.message) == (ERROR, "not configured: x")


def test_only_what_is_new_counts_for_the_level_and_the_rate(clock):
    counters, diagnostics = Counters(clock=clock), Diagnostics()
    counters.count("received", 10)
    counters.count("bad", 10)
    [first] = diagnostics.message(one_camera(counters), 100.0, Time()).status
    clock.now = 102.0
    counters.count("received", 30)
    counters.count("processed", 30)
    [second] = diagnostics.message(one_camera(counters), 102.0, Time()).status
    assert (first.level, second.level) == (WARN, OK)
    values = values_of(second)
    assert "rate received (Hz)" not in values_of(first)
    assert values["rate received (Hz)"] == values["rate processed (Hz)"] == "15.0"
    assert values[COUNTERS["bad"]] == "10" and values[COUNTERS["received"]] == "40"
    assert "frames in a batch (mean)" not in values
    # Counts begin anew when the node is configured again.
    [third] = diagnostics.message(one_camera(Counters()), 103.0, Time()).status
    assert "none came" in third.message


@pytest.mark.parametrize("rate", [30.0, 1.0, 0.9, 0.45, 0.1])
def test_a_camera_s_level_does_not_flicker(clock, rate):
    """Images at a rate, each answered 50 ms later; a message every second."""
    counters, diagnostics = Counters(clock=clock), Diagnostics()
    steps = round(60 * max(1.0, 1 / rate)) * 100
    shown = []
    for step in range(1, steps):
        before, clock.now = (step - 1) / 100, 100.0 + step / 100
        if int(before * rate) != int(step / 100 * rate):
            counters.count("received")
            clock.now += 0.002
            counters.count("processed")
        if step % 100 == 0:
            [status] = diagnostics.message(one_camera(counters), clock.now, Time()).status
            shown.append((status.level, values_of(status)["cause"]))
    # With the second image at the latest, and with the first unless that takes longer than 5 s.
    first = next(i for i, (level, _) in enumerate(shown) if level == OK)
    assert first <= 1 / rate
    begin = first if rate > 0.2 else math.ceil(2 / rate)
    assert set(shown[begin:]) == {(OK, "segmenting")}
    [status] = diagnostics.message(one_camera(counters), clock.now, Time()).status
    measured = float(values_of(status)["rate received (Hz)"])
    assert measured == pytest.approx(rate, rel=0.5, abs=0.05)


DEPTH = DepthState("/depth", "nobody publishes there", "/camera_info", "1 publisher found", True)


def test_depth_is_judged_and_shown_while_it_is_needed(clock):
    counters, diagnostics = Counters(clock=clock), Diagnostics()

    def status_after(seconds, depth):
        clock.now += seconds
        for name in ("received", "processed"):
            counters.count(name, 10)
        state = one_camera(counters)
        [camera] = state.cameras
        state = dataclasses.replace(state, cameras=[dataclasses.replace(camera, depth=depth)])
        [status] = diagnostics.message(state, clock.now, Time()).status
        return status.level, values_of(status)

    level, values = status_after(1.0, None)
    assert level == OK and "depth topic" not in values
    assert not set(SPACE_COUNTERS.values()) & set(values)
    # From when it is needed on, not from the activation.
    level, values = status_after(1.0, DEPTH)
    assert level == OK and values["depth topic"] == "/depth"
    assert values["camera_info topic"] == "/camera_info"
    assert set(SPACE_COUNTERS.values()) <= set(values)
    assert status_after(1.0, DEPTH)[0] == OK
    level, values = status_after(1.5, DEPTH)
    assert (level, values["cause"]) == (WARN, "no depth")
    counters.count("depth_received")
    counters.count("measured")
    counters.record("depth", 80.0)
    level, values = status_after(0.1, DEPTH)
    assert (level, values["cause"], values[SPACE_COUNTERS["measured"]]) == (OK, "depth late", "1")
    level, values = status_after(6.0, DEPTH)
    assert (level, values["cause"]) == (WARN, "depth stopped")
    assert status_after(0.0, None)[0] == OK
    assert status_after(30.0, DEPTH)[0] == OK


def test_what_is_measured_settles_what_came_before_it(clock):
    counters = Counters(clock=clock)
    for name in ("processed", "unmatched", "measured", "processed", "depth_received"):
        clock.now += 1.0
        counters.count(name)
    clock.now += 3.0
    counters.count("depth_received")
    found = counters.snapshot()
    assert (found.last_measured, found.last_depth, found.depth_period) == (103.0, 108.0, 3.0)
    since = {name: count for name, count in found.since_measured.items() if count}
    assert since == {"processed": 1, "depth_received": 2}
    counters.begin()
    found = counters.snapshot()
    assert found.last_measured is None and found.last_depth is None and not found.depth_period
    assert not any(found.since_measured.values())


def test_figures_without_recent_frames_are_not_shown(clock):
    counters = Counters(clock=clock)
    for _ in range(10):
        counters.record("age", 50.0)
        counters.record_batch(1)
    assert "age p50 (ms)" in values_of(message_of(one_camera(counters)).status[0])
    clock.now += 10.1
    assert counters.snapshot().times == {} and counters.snapshot().batch_size == 0
    counters.record("age", 70.0)
    assert counters.snapshot().times == {"age": (70.0, 70.0)}


def test_a_result_settles_what_came_before_it():
    counters = Counters()
    for name in ("received", "bad", "received", "processed", "received"):
        counters.count(name)
    new = {name: count for name, count in counters.snapshot().since_result.items() if count}
    assert new == {"received": 1}


def test_what_was_before_the_activation_is_not_held_against_a_camera(clock):
    counters = Counters(clock=clock)
    counters.count("received", 5)
    counters.count("failed", 5)
    clock.now += 100
    counters.begin()
    snapshot = counters.snapshot()
    assert snapshot.last_image is snapshot.last_result is snapshot.period is None
    assert not any(snapshot.since_result.values()) and snapshot.counts["received"] == 5


def test_two_namespaces_and_a_camera_called_segmentation_have_names_of_their_own():
    snapshot = Counters().snapshot()
    names = [
        status.name
        for node in ("/left/yolact", "/right/yolact")
        for status in message_of(
            NodeState(node, "inactive", snapshot, cameras=[CameraState("segmentation", snapshot)])
        ).status
    ]
    assert len(set(names)) == 4


class Cameras:
    """A node with the cameras front and rear."""

    def __init__(self, clock):
        self._clock = clock
        self.whole = Counters(clock=clock)
        self.front = Counters(total=self.whole, clock=clock)
        self.rear = Counters(total=self.whole, clock=clock)
        self._diagnostics = Diagnostics()

    def statuses(self, publishers=(1, 1), wanted=(True, True)):
        self._clock.now += 2.0
        cameras = [
            CameraState(
                name,
                counters.snapshot(),
                f"/{name}/image",
                publishers[i],
                reliable=reliable,
                wanted=wanted[i],
            )
            for i, (name, reliable, counters) in enumerate(
                (("front", True, self.front), ("rear", False, self.rear))
            )
        ]
        state = NodeState(
            "/yolact",
            "active",
            self.whole.snapshot(),
            network=NetworkState(device="cuda:0"),
            cameras=cameras,
            active_since=100.0,
        )
        return self._diagnostics.message(state, self._clock.now, Time()).status


def test_each_camera_has_a_status_and_the_node_s_counts_are_their_sums(clock):
    node = Cameras(clock)
    node.statuses()
    clock.now += 1.0
    for counters, count, age in ((node.front, 20, 30.0), (node.rear, 10, 50.0)):
        counters.count("received", count)
        counters.count("processed", count // 2)
        counters.record("age", age)
    node.whole.record("network", 9.0)
    for size in (2, 2, 1):
        node.whole.record_batch(size)
    clock.now -= 1.0
    whole, front, rear = node.statuses()
    assert [status.name for status in (whole, front, rear)] == [
        "yolact: segmentation",
        "yolact: camera front",
        "yolact: camera rear",
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


def test_a_camera_is_judged_alone_and_the_node_by_the_worst_of_them(clock):
    node = Cameras(clock)
    node.front.count("received", 5)
    node.front.count("processed", 5)
    whole, front, rear = node.statuses(publishers=(1, 0))
    assert (whole.level, front.level, rear.level) == (WARN, OK, WARN)
    assert whole.message == "rear: waiting for images on /rear/image: none came yet; "
    for counters in (node.front, node.rear) * 5:
        counters.count("received")
    node.front.count("processed", 5)
    node.rear.count("failed", 2)
    whole, front, rear = node.statuses()
    assert (whole.level, front.level, rear.level) == (ERROR, OK, ERROR)
    for counters in (node.front, node.rear) * 5:
        counters.count("received")
    node.front.count("processed", 5)
    node.rear.count("unwanted", 5)
    whole, _, rear = node.statuses(wanted=(True, False))
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
