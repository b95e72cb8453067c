# SPDX-License-Identifier: Apache-2.0
"""Table and picture of `yolact-ros bench node`, from figures made by hand."""

import copy

import cv2
import numpy as np
import pytest

from yolact_ros.bench.plots import node_plot
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


@pytest.fixture
def result():
    return copy.deepcopy(RESULT)


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
