# SPDX-License-Identifier: Apache-2.0
import threading

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from yolact_ros.ros.diagnostics import Diagnostics, NodeState
from yolact_ros.ros.statistics import COUNTERS, WINDOW, Statistics

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
ACTIVE = NodeState(name="yolact", lifecycle="active", topic="/image", publishers=1, device="cpu")


@pytest.mark.parametrize(
    "state, counted, level, text",
    [
        (
            NodeState(name="n", lifecycle="unconfigured", problem="not configured: x"),
            {},
            ERROR,
            "x",
        ),
        (NodeState(name="n", lifecycle="inactive"), {}, OK, "node is inactive"),
        (NodeState(name="n", lifecycle="active", topic="/c"), {}, WARN, "nobody publishes /c"),
        (ACTIVE, {}, WARN, "none came on /image"),
        (ACTIVE, {"received": 5, "processed": 5}, OK, "segmenting"),
        (ACTIVE, {"received": 5, "unwanted": 5}, OK, "idle"),
        (ACTIVE, {"received": 5, "bad": 2}, WARN, "2 malformed frames"),
        (ACTIVE, {"received": 5, "lost": 7, "too_old": 1}, WARN, "7 frames lost in DDS, 1 frames"),
        (ACTIVE, {"received": 5, "failed": 3, "bad": 1}, ERROR, "3 frames could not be segmented"),
    ],
)
def test_level_and_summary(state, counted, level, text):
    statistics = Statistics()
    for counter, amount in counted.items():
        statistics.count(counter, amount)
    message = Diagnostics().message(state, statistics.snapshot(), 1.0, Time(sec=3))
    [status] = message.status
    assert message.header.stamp.sec == 3
    assert status.level == level and text in status.message


def test_only_what_is_new_counts_for_the_level_and_the_rate():
    statistics, diagnostics = Statistics(), Diagnostics()
    statistics.count("received", 10)
    statistics.count("bad", 10)
    [first] = diagnostics.message(ACTIVE, statistics.snapshot(), 10.0, Time()).status
    statistics.count("received", 30)
    statistics.count("processed", 30)
    [second] = diagnostics.message(ACTIVE, statistics.snapshot(), 12.0, Time()).status
    assert (first.level, second.level) == (WARN, OK)
    values = {item.key: item.value for item in second.values}
    assert values["rate received (Hz)"] == values["rate processed (Hz)"] == "15.0"
    assert values[COUNTERS["bad"]] == "10" and values[COUNTERS["received"]] == "40"
    # Counts begin anew when the node is configured again.
    [third] = diagnostics.message(ACTIVE, Statistics().snapshot(), 13.0, Time()).status
    assert "none came" in third.message


def test_times_are_percentiles_of_the_last_frames():
    statistics = Statistics()
    for _ in range(1000):
        statistics.record("network", 1e6)
    for milliseconds in range(WINDOW):
        statistics.record("network", milliseconds)
    assert statistics.snapshot().times["network"] == pytest.approx((127.5, 242.25))


def test_counting_from_many_threads_loses_nothing():
    statistics = Statistics()
    threads = [
        threading.Thread(target=lambda: [statistics.count("received") for _ in range(2000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statistics.snapshot().counts["received"] == 8000
