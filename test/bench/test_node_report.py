# SPDX-License-Identifier: Apache-2.0
"""Table and picture of `yolact-ros bench node`, from figures made by hand."""

import copy

import cv2
import numpy as np
import pytest

from yolact_ros.bench.plots import node_plot, record_plot
from yolact_ros.bench.tables import describe_node_settings, node_table

CAMERA = {
    "name": "cam0",
    "published": 100,
    "skipped": 0,
    "lost_in_dds": 4,
    "lost": 4,
    "received": 96,
    "processed": 80,
    "replaced": 13,
    "too_old": 1,
    "bad": 1,
    "failed": 1,
    "unwanted": 0,
    "results": {"instances": {"received": 80, "lost": 0}, "overlay": {"received": 79, "lost": 1}},
    "age_ms": {"p50": 40.04, "p95": 61.26, "p99": 70.0, "max": 80.0},
    "age_curve_ms": list(np.linspace(20, 80, 101)),
    "frames_per_second": 8.0,
    "problems": [],
}
ARRANGEMENT = {
    "name": "one node, 2 cameras",
    "nodes": 1,
    "cameras": [CAMERA, CAMERA | {"name": "cam1", "published": 200, "age_ms": None,
                                  "age_curve_ms": None}],
    "frames_per_second": 16.0,
    "sums_close": True,
    "stages": {"wait": {"p50_ms": 1.5, "p95_ms": 12.25}, "total": {"p50_ms": 30.0, "p95_ms": 41.0}},
    "batch_size": 1.756,
    "processor_cores": 1.234,
    "others_processor_cores": 0.05,
    "memory": {"pss_mb": 500.4, "without_files_mb": 400.0, "rss_mb": 700.0, "peak_rss_mb": 900.0},
    "gpu_use": None,
    "gpu_memory_mb": None,
}  # fmt: skip
RESULT = {
    "settings": {
        "cameras": [
            {"name": f"cam{i}", "image_size": [480, 640], "rate_hz": rate}
            for i, rate in enumerate((15.0, 15.0, 7.5))
        ],
        "transport": "raw",
        "reliability": "best_effort",
        "seconds": 20.0,
        "warm_up_s": 5.0,
        "rounds": 1,
    },
    "preset": "yolact_demo",
    "precision": "fp32",
    "machine": {"name": "A CPU", "device": "cpu", "cores": 2},
    "versions": {"torch": "2.15"},
    "set_ups": [ARRANGEMENT],
}

RECORD = {
    "seconds": 200.4,
    "memory": {
        "seconds": [0.0, 120.0, 200.0],
        "without_files_mb": [450.0, 500.0, 503.0],
        "rss_mb": [850.0, 900.0, 903.0],
        "threads": [20, 21, 21],
        "files": [25, 25, 25],
        "at_rest": [0, 1, 1],
    },
    "processor_cores": 0.5,
    "diagnostics": {
        "seconds": [0.5, 1.5, 2.5],
        "level": [0, 1, 0],
        "state": ["active"] * 3,
        "counts": {"received": [1, 15, 30], "processed": [0, 14, 29], "too_old": [0, 0, 1]},
    },
    "ages": {"seconds": [1.5, 2.5], "p50_ms": [30.0, 31.0], "max_ms": [40.0, 41.0]},
    "growth": {
        "from_s": 120.0,
        "to_s": 200.0,
        "is_judged": True,
        "without_files_mb": {"before": 500.0, "after": 503.0, "growth": 0.006},
        "rss_mb": {"before": 900.0, "after": 903.0, "growth": 0.00333},
    },
    "longest_gap_s": 1.02,
    "age_ms": {"p50": 30.5, "p95": 40.9, "p99": 41.0, "max": 41.0},
    "counts": {"received": 30, "processed": 29, "too_old": 1, "bad": 0},
    "problems": [],
}


@pytest.fixture
def result():
    return copy.deepcopy(RESULT)


@pytest.fixture
def storm(result):
    events = [{"at_s": 0.5, "what": "camera dies cam0"}, {"at_s": 2.0, "what": "calm"}]
    result |= {"set_ups": [], "record": copy.deepcopy(RECORD), "is_interrupted": False}
    result["settings"] |= {"storm": 200.0, "seed": 7}
    return result | {"events": events}


def cells(text):
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}


def test_the_head_says_what_was_measured(result):
    assert describe_node_settings(result) == (
        "yolact_demo, fp32 on A CPU, 2 cores; 2 x 640x480 at 15 Hz, 1 x 640x480 at 7.5 Hz, raw, "
        "best effort; 20 s after 5 s"
    )


def test_rows_of_cameras_and_their_sums(result):
    text = node_table(result)
    fates, ages = text.split("\nage, ms")
    row = ["100", "4", "96", "13", "1", "1", "1", "0", "80", "80", "79"]
    assert cells(fates)["cam0"] == row
    assert cells(fates)["cam1"] == ["200", *row[1:]]
    assert cells(fates)["all"] == ["300", "8", "192", "26", "2", "2", "2", "0", "160", "160", "158"]
    assert cells(ages)["cam0"] == ["40.0", "61.3", "70.0", "80.0", "8.00"]
    assert cells(ages)["cam1"] == ["-", "-", "-", "-", "8.00"]
    assert cells(ages)["all"] == ["16.00"]
    assert cells(ages)["wait"] == ["1.50", "12.25"]
    assert "the sums close" in text
    assert "frames in a batch: 1.76\n" in text
    assert "the node 1.23 cores; cameras and subscriber 0.05" in text
    assert "MB: 500 (PSS" in text and "400 without files" in text and "GPU" not in text


def test_columns_stand_under_their_titles(result):
    lines = node_table(result).splitlines()
    [title] = [line for line in lines if line.startswith("frames  ")]
    row = lines[lines.index(title) + 1]
    for name, value in (("published", "100"), ("lost in DDS", "4"), ("-> overlay", "79")):
        end = title.index(name) + len(name)
        assert row[:end].endswith(f" {value}")


def test_stages_come_in_the_order_of_a_frame_s_way(result):
    row = {"p50_ms": 1.0, "p95_ms": 2.0}
    names = ["total", "new", "network", "transport"]
    result["set_ups"][0]["stages"] = dict.fromkeys(names, row)
    shown = [name for name in cells(node_table(result)) if name in names]
    assert shown == ["transport", "network", "total", "new"]


def test_what_does_not_close_is_said(result):
    arrangement = result["set_ups"][0]
    arrangement["sums_close"] = False
    arrangement["cameras"][1]["problems"] = ["received 5 of 4 published"]
    text = node_table(result)
    assert "the sums do not close:\n  cam1: received 5 of 4 published\n" in text
    assert "the sums close" not in text


def test_what_the_reader_must_know_is_remarked(result):
    camera = result["set_ups"][0]["cameras"][0]
    assert "cam0:" not in node_table(result)
    camera |= {"skipped": 7, "lost_in_dds": 4, "lost": 1}
    text = node_table(result)
    assert "cam0: 7 frames were not made in time by the camera" in text
    assert "cam0: of 4 frames lost in DDS the node was told of 1;" in text


def test_where_nobody_tells_there_is_no_line(result):
    arrangement = result["set_ups"][0]
    arrangement |= {"processor_cores": None, "batch_size": None}
    arrangement["memory"] = dict.fromkeys(arrangement["memory"])
    text = node_table(result)
    assert "batch" not in text
    assert "processor" not in text and "memory" not in text


def test_the_gpu_s_use(result):
    arrangement = result["set_ups"][0]
    arrangement |= {"gpu_use": 0.42, "gpu_memory_mb": 1234.5}
    text = node_table(result)
    assert text.endswith("GPU: at work 42% of the time\nmemory of the GPU, growth in MB: 1234")


def test_a_comparison_ends_the_table(result):
    result["set_ups"].append(ARRANGEMENT | {"name": "2 nodes, one camera each", "nodes": 2})
    result["comparison"] = {
        "frames_per_second": {"one": 16.0, "many": 12.0, "ratio": 4 / 3},
        "pss_mb": {"one": 500.4, "many": 1600.0, "ratio": 0.3127},
    }
    *_, title, rate, memory = node_table(result).splitlines()
    assert title.split() == ["one", "node", "a", "node", "each", "ratio"]
    assert rate.split() == ["frames/s", "16.00", "12.00", "1.333"]
    assert memory.split()[-3:] == ["500", "1600", "0.313"]


def test_a_record_is_a_block_of_its_own(storm):
    head, _, *lines = node_table(storm).splitlines()
    assert head.endswith("200 s of storm, seed 7")
    rows = cells("\n".join(lines))
    assert rows["memory"] == ["at", "120", "s", "at", "200", "s", "growth", "at", "most"]
    assert rows["without"] == ["files,", "MB", "500.0", "503.0", "+0.60%", "503.0"]
    assert rows["threads"] == ["20", "21", "21"]
    assert lines[1] == "recorded: 200 s"
    assert "/diagnostics: 3 messages (2 OK, 1 WARN, 0 ERROR), 1.02 s at most without one" in lines
    assert "frames, as the node told: received 30, processed 29, too old 1" in lines
    assert lines[-1].startswith("nothing is wrong")


def test_a_record_tells_what_is_wrong_and_what_is_not_known(storm):
    storm["is_interrupted"] = True
    storm["record"] |= {"growth": None, "age_ms": None, "processor_cores": None}
    storm["record"]["problems"] = ["no /diagnostics for 2.5 s from 7.0 s on"]
    text = node_table(storm)
    assert "recorded: 200 s, ended by Ctrl-C\n" in text
    assert text.endswith("what is wrong:\n  no /diagnostics for 2.5 s from 7.0 s on")
    assert "age of results" not in text and "processor" not in text
    assert decode(record_plot(storm)).size


@pytest.mark.slow
def test_the_plot_of_a_record_shows_the_calms_of_a_storm(storm):
    with_calm = decode(record_plot(storm))
    del storm["events"]
    without = decode(record_plot(storm))
    assert with_calm.shape == without.shape and (with_calm != without).any()


@pytest.mark.slow
def test_the_plot_has_a_row_for_each_arrangement(result):
    one = decode(node_plot(result))
    result["set_ups"].append(ARRANGEMENT | {"name": "2 nodes, one camera each", "nodes": 2})
    two = decode(node_plot(result))
    assert one.shape[1] == two.shape[1] and two.shape[0] > 1.5 * one.shape[0]
    # the fates' colours, such as the green of what was processed
    green = (two == (44, 160, 44)[::-1]).all(2)
    middle = two.shape[0] // 2
    assert green[:middle].any() and green[middle:].any()


def test_a_plot_of_nothing_received(result):
    arrangement = result["set_ups"][0]
    arrangement["stages"] = {}
    for camera in arrangement["cameras"]:
        camera |= {"age_ms": None, "age_curve_ms": None}
        camera |= dict.fromkeys(("processed", "replaced", "too_old", "bad", "failed"), 0)
        camera |= {"lost_in_dds": camera["published"], "received": 0}
    assert decode(node_plot(result)).size


def decode(png):
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image
