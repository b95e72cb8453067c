# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import pytest

from yolact_ros.bench.tracking import TrackingSpeedSettings, moving_things
from yolact_ros.cli.bench_output import write_json
from yolact_ros.cli.main import main
from yolact_ros.tracking import Tracker

STAGES = ["bench", "--preset", "yolact_demo", "--device", "cpu", "--image-size", "128x96",
          "--frames", "2", "--warm-up", "1", "--instances", "2"]  # fmt: skip


@pytest.mark.slow
def test_stages_are_measured_beside_the_baseline(tmp_path, capsys):
    figures, picture = tmp_path / "new" / "speed.json", tmp_path / "speed.png"
    files = ["--json", str(figures), "--picture", str(picture)]
    assert main([*STAGES, "--baseline", "--no-messages", "--box-area", "0.1", *files]) == 0
    printed = capsys.readouterr()
    result = json.loads(figures.read_text())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert printed.err == "arrival, message and publish are left out: --no-messages\n"
    rows = {line.split()[0]: line.split() for line in printed.out.splitlines() if line}
    for name, row in result["stages"].items():
        assert float(rows[name][1]) == pytest.approx(row["p50_ms"], abs=0.0051)
        other = result["baseline"]["stages"][name]["p50_ms"]
        assert float(rows[name][4]) == pytest.approx(other, abs=0.0051)
    upload = result["baseline"]["stages"]["upload"]["p50_ms"]  # which a CPU has on one side alone
    assert rows["upload"][1:4] == ["-"] * 3
    assert float(rows["upload"][4]) == pytest.approx(upload, abs=0.0051)
    assert {"network", "decode", "masks", "overlay"} <= set(result["stages"])
    for row in (result["total"], result["baseline"]["total"], result["stages"]["masks"]):
        assert set(row) == {"p50_ms", "p95_ms", "p99_ms"}
    assert result["ratios"]["total"] == pytest.approx(
        result["baseline"]["total"]["p50_ms"] / result["total"]["p50_ms"]
    )
    assert result["machine"]["name"] and result["versions"]["torch"]
    assert result["settings"]["box_area"] == 0.1 and result["settings"]["instances"] == 2


@pytest.mark.slow
def test_without_baseline_there_is_none_of_it(tmp_path, capsys):
    figures = tmp_path / "speed.json"
    assert main([*STAGES, "--no-messages", "--no-overlay", "--json", str(figures)]) == 0
    result = json.loads(figures.read_text())
    assert not {"baseline", "ratios"} & set(result)
    assert "overlay" not in result["stages"]
    assert "baseline" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_surroundings_have_rows_where_there_is_ros(tmp_path, capsys, monkeypatch):
    class Frames:
        def __init__(self, images):
            self.images, self.sent = images, []

        def __enter__(self):
            return self

        def __exit__(self, *_):
            assert len(self.sent) == 5  # 1 to warm up, 4 measured
            closed.append(True)

        def arrive(self, number):
            return self.images[number % len(self.images)]

        def make_messages(self, instances):
            return len(instances.boxes)

        def publish(self, message):
            self.sent.append(message)

    closed = []
    monkeypatch.setattr("yolact_ros.cli.bench._message_frames", lambda: Frames)
    figures = tmp_path / "speed.json"
    assert main([*STAGES, "--frames", "4", "--json", str(figures)]) == 0
    result = json.loads(figures.read_text())
    assert closed == [True]
    assert next(iter(result["stages"])) == "arrival"
    assert list(result["stages"])[-2:] == ["message", "publish"]
    assert result["with_messages"]["p50_ms"] >= result["total"]["p50_ms"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("part", [[], ["growth"]])
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--frames", "0"], 2, "--frames: expected an integer of 1 or more, got '0'"),
        (["--warm-up", "0"], 2, "--warm-up: expected an integer of 1 or more, got '0'"),
        (["--batch", "0"], 2, "--batch: expected an integer of 1 or more, got '0'"),
        (["--instances", "-1"], 2, "--instances: expected an integer of 0 or more, got '-1'"),
        (["--threads", "0"], 2, "--threads: expected an integer from 1 to "),
        (["--box-area", "0"], 2, "--box-area: expected above 0 up to 1, got '0'"),
        (["--box-area", "1.5"], 2, "--box-area: expected above 0 up to 1, got '1.5'"),
        (["--image-size", "720"], 2, "--image-size: expected WIDTHxHEIGHT in pixels"),
        (["--preset", "yolact_huge"], 2, "yolact_huge"),
        (["--precision", "fp8"], 2, "--precision: invalid choice: 'fp8' (choose from"),
        (["--device", "tpu"], 2, "--device: expected auto, cpu, cuda or cuda:N, got 'tpu'"),
        (["--compile", "yes"], 2, "--compile: invalid choice: 'yes' (choose from"),
        (["--weights", "none.pth"], 2, "none.pth"),
        (
            ["--engine", "onnxruntime", "--precision", "bf16"],
            1,
            "precision: expected one of auto, fp32, fp16, int8 in onnxruntime, got 'bf16'",
        ),
    ],
)
def test_wrong_values_are_refused_in_one_line(part, arguments, status, message, refused):
    refusal = refused("bench", *part, *arguments)
    assert refusal[0] == status and message in refusal[1]


def test_wrong_values_are_refused_before_torch_is_loaded():
    code = """
import sys
from yolact_ros.cli.main import main
from yolact_ros.errors import InputError
assert main(["bench", "--engine", "onnxruntime", "--precision", "bf16"]) == 1
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_lists_of_numbers_are_written_in_one_line(tmp_path):
    result = {"curve": [1.5, -2e-07, 3], "names": ["a", "b"], "pairs": [[1, 2]], "none": []}
    write_json(tmp_path / "new" / "file.json", result)
    text = (tmp_path / "new" / "file.json").read_text()
    assert json.loads(text) == result
    assert '"curve": [ 1.5, -2e-07, 3 ],' in text
    assert len(text.splitlines()) == 11


@pytest.mark.slow
def test_objects_in_space_are_measured_beside_the_network(tmp_path, capsys):
    figures, picture = tmp_path / "space.json", tmp_path / "space.png"
    words = ["--image-size", "320x240", "--instances", "4", "--covered", "0.3", "--frames", "3"]
    files = ["--json", str(figures), "--picture", str(picture)]
    assert main(["bench", "space", "--preset", "yolact_demo", *words, *files]) == 0
    printed = capsys.readouterr()
    result = json.loads(figures.read_text())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert result["pixels"] == pytest.approx(0.3 * 320 * 240, rel=0.02)
    # all but what a depth camera's mixed pixels take away, which is nothing here
    assert result["points"] == result["pixels"]
    rows = {line.split("  ")[0]: line.split()[-2:] for line in printed.out.splitlines() if line}
    for name, times in result["stages"].items():
        assert float(rows[name][0]) == pytest.approx(times["p50_ms"], abs=0.0051)
    assert float(rows["yolact_demo in fp32"][0]) == pytest.approx(
        result["network"]["p50_ms"], abs=0.0051
    )
    instances, pixels = result["growth"]
    assert [point["instances"] for point in instances["points"]] == [1, 2, 5, 10, 20, 50, 100]
    assert all(point["pixels"] == pytest.approx(23040, rel=0.1) for point in instances["points"])
    counts = [point["pixels"] for point in pixels["points"]]
    assert counts == sorted(counts) and counts[-1] > 10 * counts[0]
    objects, *_, share = result["bounds"]
    assert objects["held"] == (result["stages"]["objects"]["p50_ms"] <= 8)
    together = sum(result["stages"][name]["p50_ms"] for name in ("objects", "organised points"))
    assert share["reached"] == pytest.approx(together / result["network"]["p50_ms"])


def test_tracking_is_measured_and_everything_is_recognised(tmp_path, capsys):
    figures, picture = tmp_path / "tracking.json", tmp_path / "tracking.png"
    words = ["--instances", "7", "--frames", "4", "--json", str(figures), "--picture", str(picture)]
    assert main(["bench", "tracking", *words]) == 0
    printed = capsys.readouterr().out
    result = json.loads(figures.read_text())
    assert picture.read_bytes().startswith(b"\x89PNG") and "7 things found in each of 4" in printed
    assert [point["instances"] for point in result["growth"]] == [1, 2, 5, 10, 20, 50, 100]
    median, p95 = result["bounds"]
    assert median["reached"] == result["stages"]["track"]["p50_ms"] <= p95["reached"]
    assert f"{median['reached']:.2f}" in printed
    tracker = Tracker()
    settings = TrackingSpeedSettings(instances=20, frames=30)
    ids = [tracker.update(found, stamp).track_ids for stamp, found, _ in moving_things(settings)]
    kept = ids[0] > 0  # the others are taken for the same thing as a better one
    assert kept.sum() > 15 and all((each[kept] == ids[0][kept]).mean() > 0.8 for each in ids)


def test_too_many_masks_for_an_image_are_refused(refused):
    words = ["--image-size", "16x16", "--instances", "500", "--preset", "yolact_demo"]
    assert refused("bench", "space", *words) == (
        1, "yolact-ros: instances: expected fewer than 500 in 16x16"
    )  # fmt: skip
    status, line = refused("bench", "space", "--covered", "0.7")
    assert status == 2 and "--covered: expected above 0 up to 0.5, got '0.7'" in line
