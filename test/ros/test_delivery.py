# SPDX-License-Identifier: Apache-2.0
"""Images between processes at 30 Hz: what arrives, how old results are, what is lost where."""

import re

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from yolact_ros.msg import InstanceArray

from yolact_ros.ros.counters import COUNTERS
from yolact_ros.ros.diagnostics import values_of

pytestmark = pytest.mark.alone  # at the rates of real cameras

RATE = 30.0
SECONDS = 5.0
LISTENING = 6.0
"""Seconds of results whose ages are measured."""
USUAL_PROCESSING = 150.0
"""Median of the stage "processing" on two busy cores without AVX-512, ms.

With AVX-512 it is 43 ms (docs/benchmarks/node.md).
"""


LARGE = {"width": 1280, "height": 720, "rate": RATE, "loop_frames": 15}
"""Of a camera: smaller images need less of what the profile gives."""


@pytest.mark.timeout(120)
def test_frames_arrive_with_the_profile_on_the_sender(start, say):
    """A best-effort subscriber of depth 5 without the profile receives them in another process."""
    camera = start("demo_camera", **LARGE, reliability="best_effort")
    camera.wait_for("filming")
    counter = start("count_frames.py", "/image", SECONDS, profile=False)
    line = counter.wait_for("received", timeout=40)
    camera.end()
    assert "takes" not in camera.output, camera.output  # the camera kept its rate
    sent = RATE * SECONDS
    say(f"1280x720 rgb8 at 30 Hz, {sent:.0f} sent, config/fastdds.xml: {line}")
    assert int(re.search(r"received (\d+)", line)[1]) >= 0.95 * sent


@pytest.mark.timeout(150)
def test_results_stay_young_when_the_camera_is_faster(start, peer, weights, say):
    rate = 120.0  # faster than two cores with AMX are
    camera = start("demo_camera", rate=rate, loop_frames=30, reliability="best_effort")
    node = start("yolact_node", **weights)
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics", 10)
    node.wait_for("active: ")
    ages = []

    def on_result(message):
        stamp = message.header.stamp
        now = peer.node.get_clock().now().nanoseconds
        ages.append((now - stamp.sec * 10**9 - stamp.nanosec) * 1e-6)

    peer.node.create_subscription(InstanceArray, "yolact/instances", on_result, 10)
    camera.wait_for("filming")
    peer.until(lambda: len(ages) >= 10, what="results")
    ages.clear()
    peer.spin(LISTENING)
    values = values_of(diagnostics[-1].status[0])
    counts = {name: int(values[meaning]) for name, meaning in COUNTERS.items()}
    usual, processing = (float(values[f"processing {which} (ms)"]) for which in ("p50", "p95"))
    middle, worst = np.percentile(ages, [50, 95])
    limit = 1.5 * processing + 1000 / rate
    say(
        f"{len(ages)} results in {LISTENING:g} s; age p50 {middle:.0f} ms, p95 {worst:.0f} ms; "
        f"processing p50 {usual:.0f} ms, p95 {processing:.0f} ms, so at most {limit:.0f} ms; "
        f"{counts}"
    )
    assert worst < limit
    # That limit is made of what the node says of itself; this one is not.
    assert usual < 10 * USUAL_PROCESSING
    assert counts["replaced"] > 0 and counts["bad"] == counts["failed"] == 0
    done = counts["processed"] + counts["replaced"] + counts["unwanted"]
    assert abs(counts["received"] - done) <= 2  # one in the slot, one at work


@pytest.mark.timeout(120)
def test_losses_in_dds_are_counted_and_explained(start, peer, weights, say):
    camera = start("demo_camera", profile=False, **LARGE, reliability="best_effort")
    node = start("yolact_node", **weights)
    peer.collect(InstanceArray, "yolact/instances")
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics", 10)
    camera.wait_for("filming")

    def counts():
        if not diagnostics:
            return {"lost": 0}
        values = values_of(diagnostics[-1].status[0])
        return {name: int(values[meaning]) for name, meaning in COUNTERS.items()}

    peer.until(lambda: counts()["lost"] >= 30, timeout=60, what="losses")
    say(f"without the profile: {counts()}")
    line = node.wait_for("were lost in DDS")
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" in line and "config/fastdds.xml" in line
