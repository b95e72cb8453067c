# SPDX-License-Identifier: Apache-2.0
"""What the page is told of a status, of instances and of objects."""

import json
import math

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterDescriptor
from std_msgs.msg import Header
from yolact_ros.msg import Instance, InstanceArray, Object, ObjectArray

from yolact_ros.ros.counters import COUNTERS
from yolact_ros.ros.parameters.spec import kind_of, may_change_at_run_time
from yolact_ros.ros.parameters.table import PARAMETERS
from yolact_ros.ros.view.results import Results
from yolact_ros.ros.view.statuses import page_status


def test_a_status_is_sorted_by_what_it_means():
    values = {
        "state": "active",
        "cause": "frames lost",
        "image topic": "/image",
        "precision_reason": "",
        "rate received (Hz)": "15.0",
        "rate processed (Hz)": "7.5",
        COUNTERS["received"]: "40",
        COUNTERS["replaced"]: "3",
        COUNTERS["lost"]: "2",
        COUNTERS["bad"]: "0",
        "age p50 (ms)": "41.20",
        "age p95 (ms)": "63.70",
        "network p50 (ms)": "24.00",
        "network p95 (ms)": "30.00",
    }
    status = DiagnosticStatus(
        level=b"\1",
        message="2 were lost",
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    assert page_status(status) == {
        "level": 1,
        "cause": "frames lost",
        "message": "2 were lost",
        "state": "active",
        "topic": "/image",
        "figures": [
            ["15.0", "Hz in", False],
            ["7.5", "Hz out", False],
            ["41 / 64", "ms old", False],
            ["5", "dropped", True],
        ],
        "times": [["network", 24.0, 30.0]],
        "counts": [
            [COUNTERS["received"], "40"],
            [COUNTERS["replaced"], "3"],
            [COUNTERS["lost"], "2"],
        ],
        "facts": [["image topic", "/image"]],
    }


def _header(second):
    return Header(stamp=Time(sec=second), frame_id="camera")


def test_objects_are_shown_with_the_instances_of_their_image():
    now = [0.0]
    results = Results(lambda: now[0])
    for second in (1, 2):
        instances = [Instance(class_name="ball", score=0.5), Instance(class_name="mug", track_id=9)]
        shown = results.take_instances(
            InstanceArray(header=_header(second), instances=instances[:second])
        )
        assert [row["class"] for row in shown["rows"]] == ["ball", "mug"][:second]
        assert not shown["measured"]
    mug = Object(instance=2)
    mug.pose.pose.position.z = 1.5
    mug.velocity.twist.linear.x = math.nan
    shown = results.take_objects(ObjectArray(header=_header(2), objects=[mug]))
    assert shown["measured"] and shown["frame"] == "camera"
    assert [row["position"] for row in shown["rows"]] == [None, [0.0, 0.0, 1.5]]
    assert shown["rows"][1]["track"] == 9 and shown["rows"][1]["speed"] is None
    json.dumps(shown, allow_nan=False)
    # instances alone are not shown in between, but again when objects come no more
    assert results.take_objects(ObjectArray(header=_header(7))) is None
    assert results.take_instances(InstanceArray(header=_header(8))) is None
    now[0] = 5.0
    assert results.take_instances(InstanceArray(header=_header(9))) is not None


def test_a_described_parameter_tells_kind_and_whether_it_may_change():
    for spec in PARAMETERS:
        described = spec.shown_descriptor()
        assert kind_of(described) == spec.kind
        assert may_change_at_run_time(described) == spec.at_run_time, spec.name
    assert not may_change_at_run_time(ParameterDescriptor(name="use_sim_time"))
