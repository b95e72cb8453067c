# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros bench node` as users run it, and what somebody else counts meanwhile."""

import json
import re
import signal
import time

import pytest
from yolact_ros.msg import InstanceArray

from yolact_ros.ros.bench.storm.plan import plan
from yolact_ros.ros.counters import OUTCOMES

pytestmark = pytest.mark.timeout(180)
CLI = "yolact_ros.cli.main"
SMALL = ["--image-size", "128x96", "320x240", "--seconds", "3", "--warm-up", "1"]


@pytest.fixture
def bench(start, domain_id, weights):
    """Starts `yolact-ros bench node` in the test's domain."""
    files = [part for name, path in weights.items() for part in (f"--{name}", path)]
    own = ["bench", "node", "--domain-id", domain_id, "--device", "cpu", *files]
    return lambda *arguments: start(CLI, *map(str, own), *map(str, arguments))


class Counter:
    """Somebody who knows nothing of the bench but a topic's name."""

    def __init__(self, peer, topic):
        self.messages = peer.collect(InstanceArray, topic)

    def count(self, window):
        first, last = window
        stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in self.messages]
        return sum(first <= stamp <= last for stamp in stamps)


def finish(bench, peer, code=0):
    while bench.process.poll() is None:
        peer.spin(0.2)
    assert bench.process.returncode == code, bench.output
    assert "Traceback" not in bench.output
    return bench.output


def row_of(output, camera):
    """The first row of a camera: published, lost, received, ..., processed, results."""
    [row, *_] = re.findall(rf"^{camera} +([\d ]+)$", output, re.MULTILINE)
    return [int(word) for word in row.split()]


def assert_consistent(arrangement):
    assert arrangement["sums_close"] and arrangement["frames_per_second"] > 0
    for camera in arrangement["cameras"]:
        assert camera["problems"] == []
        assert camera["published"] + camera["skipped"] > 0
        assert camera["published"] == camera["received"] + camera["lost_in_dds"]
        assert camera["received"] == sum(camera[name] for name in OUTCOMES)
        ages = camera["age_ms"]
        assert 0 < ages["p50"] <= ages["p95"] <= ages["p99"] <= ages["max"] < 20_000
    assert arrangement["stages"]["network"]["p50_ms"] > 0
    assert 0 < arrangement["processor_cores"] < 100
    memory = arrangement["memory"]
    assert 50 < memory["without_files_mb"] <= memory["pss_mb"] <= memory["rss_mb"]
    assert arrangement["gpu_use"] is None and arrangement["gpu_memory_mb"] is None


def test_counts_are_those_of_an_independent_subscriber(bench, peer, tmp_path, say):
    counters = {f"cam{i}": Counter(peer, f"/yolact/cam{i}/instances") for i in range(2)}
    figures, picture = tmp_path / "new" / "node.json", tmp_path / "node.png"
    # cam0 at leisure, cam1 faster than any CPU
    run = bench("--cameras", 2, *SMALL, "--rate", 8, 100, "--json", figures, "--picture", picture)
    output = finish(run, peer)
    say(output)
    result = json.loads(figures.read_text())
    assert picture.read_bytes().startswith(b"\x89PNG")
    [arrangement] = result["set_ups"]
    assert_consistent(arrangement)
    for camera in arrangement["cameras"]:
        [window] = camera["windows_ns"]
        counted = counters[camera["name"]].count(window)
        assert counted == camera["results"]["instances"]["received"] == camera["processed"] > 0
        row = row_of(output, camera["name"])
        assert (row[0], row[-2], row[-1]) == (camera["published"], counted, counted)
        # those of the warm-up are not among them
        assert len(counters[camera["name"]].messages) > counted
    easy, hard = arrangement["cameras"]
    assert easy["published"] + easy["skipped"] == 24
    assert hard["published"] + hard["skipped"] == 300
    assert hard["replaced"] + hard["lost_in_dds"] > 0
    assert result["device"] == "cpu" and result["preset"] == "yolact_demo"
    assert result["command"].startswith("yolact-ros bench node --domain-id")
    assert 1 <= arrangement["batch_size"] <= 2
    assert "comparison" not in result


def test_one_node_is_compared_with_one_for_each_camera(bench, peer, tmp_path):
    names = [f"/yolact/cam{i}" for i in range(2)] + [f"/cam{i}/yolact" for i in range(2)]
    counters = [Counter(peer, f"{name}/instances") for name in names]
    figures = tmp_path / "node.json"
    run = bench(
        "--cameras", 2, *SMALL, "--rate", 5, "--compare", "--transport", "compressed",
        "--reliability", "best_effort", "--topics", "instances,overlay", "--json", figures,
        "--parameter", "max_instances:=7",
    )  # fmt: skip
    output = finish(run, peer)
    result = json.loads(figures.read_text())
    one, many = result["set_ups"]
    assert (one["nodes"], many["nodes"]) == (1, 2)
    for arrangement in (one, many):
        assert_consistent(arrangement)
    for counter, camera in zip(counters, one["cameras"] + many["cameras"], strict=True):
        [window] = camera["windows_ns"]
        assert camera["image_topic"] == f"/{camera['name']}/image/compressed"
        assert set(camera["results"]) == {"instances", "overlay"}
        assert counter.count(window) == camera["results"]["instances"]["received"] > 0
    memory = result["comparison"]["without_files_mb"]
    assert memory["ratio"] == pytest.approx(memory["one"] / memory["many"])
    assert memory["many"] > 1.5 * memory["one"]
    assert re.search(r"^memory without files, MB +\d+ +\d+ +0\.\d+$", output, re.MULTILINE)
    assert max(len(message.instances) for message in counters[0].messages) <= 7


@pytest.mark.parametrize(
    "by, length, moment, code",
    [
        (signal.SIGINT, "--seconds", "waiting", 130),
        (signal.SIGTERM, "--soak", "measuring", 130),
        (signal.SIGKILL, "--seconds", "measuring", -signal.SIGKILL),
    ],
    ids=["ctrl-c", "sigterm", "killed"],
)
def test_nothing_is_left_when_it_is_ended(bench, tmp_path, by, length, moment, code):
    figures = tmp_path / "figures.json"
    run = bench(length, 60, "--warm-up", 1, "--json", figures)
    run.wait_for(moment)
    children = run.children()
    assert len(children) == 2  # camera and node
    # A soak waits for frames on their way and draws its picture before it ends.
    assert run.interrupt(by, 60.0 if length == "--soak" else 10.0)[0] == code
    assert_gone(children)
    assert "Traceback" not in run.output
    if length == "--soak":  # which tells what there is so far
        record = json.loads(figures.read_text())["record"]
        assert len(record["memory"]["rss_mb"]) > 1 and record["counts"]["received"] > 0
        assert "ended by Ctrl-C" in run.output and "frames, as the node told: " in run.output


@pytest.mark.paired  # the diagnostics must come in time
def test_a_storm_passes(bench, peer, tmp_path, say):
    figures, picture = tmp_path / "storm.json", tmp_path / "storm.png"
    small = ["--image-size", "128x96", "--rate", 5, "--seed", 2]
    run = bench("--storm", 8, *small, "--json", figures, "--picture", picture)
    output = finish(run, peer)
    say(output)
    assert "nothing is wrong" in output
    result = json.loads(figures.read_text())
    told = [event["what"] for event in result["events"]]
    for event in plan(2, 0, 4.0, cameras=["cam0"], transport="raw"):
        assert str(event) in told
        assert re.search(rf" s  {re.escape(str(event))}$", output, re.MULTILINE)  # as it happened
    assert {"calm", "camera comes back cam0"} < set(told)
    assert any(re.fullmatch(r"\w+: (done|refused)", what) for what in told)
    record = result["record"]
    assert record["problems"] == [] and record["longest_gap_s"] < 2
    assert sum(record["memory"]["at_rest"]) == 1
    assert record["counts"]["processed"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def assert_gone(children):
    deadline = time.monotonic() + 10
    while any(child.is_running() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(child.is_running() for child in children)


def test_nothing_is_left_of_what_a_shell_runs_in_the_background(bench):
    """It starts with Ctrl-C ignored, and a program may send it one all the same."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run = bench("--seconds", 60)
    finally:
        signal.signal(signal.SIGINT, before)
    run.wait_for("waiting")
    children = run.children()
    deadline = time.monotonic() + 10
    # and again and again, for as long as there is something to end
    while True:
        ended = run.process.poll() is not None  # asked first: what runs after that was left
        if not any(child.is_running() for child in children):
            break
        assert not ended and time.monotonic() < deadline
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    assert run.process.wait(10) == 130
    assert "Traceback" not in run.output


def test_a_node_that_cannot_work_ends_it_in_one_line(bench, peer, tmp_path):
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    run = bench("--weights", tmp_path / "broken.pth")
    finish(run, peer, code=1)
    [line] = run.lines("yolact-ros: ")
    assert "broken.pth" in line
    assert not run.children()


def test_an_unknown_parameter_ends_it_before_it_begins(bench, peer):
    run = bench("--parameter", "max_instance:=3")
    finish(run, peer, code=1)
    [line] = run.output.splitlines()
    assert line.startswith("yolact-ros: parameter: expected one of preset, weights, ")
    assert line.endswith("got 'max_instance'")
