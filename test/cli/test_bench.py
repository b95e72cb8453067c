# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from yolact_ros.cli.main import main

STAGES = ["bench", "--preset", "yolact_demo", "--device", "cpu", "--image-size", "128x96",
          "--frames", "2", "--warm-up", "1", "--instances", "2"]  # fmt: skip


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
    assert result["ratio"] == pytest.approx(
        result["baseline"]["total"]["p50_ms"] / result["total"]["p50_ms"]
    )
    assert result["machine"]["name"] and result["versions"]["torch"]
    assert result["settings"]["box_area"] == 0.1 and result["settings"]["instances"] == 2


def test_without_baseline_there_is_none_of_it(tmp_path, capsys):
    figures = tmp_path / "speed.json"
    assert main([*STAGES, "--no-messages", "--no-overlay", "--json", str(figures)]) == 0
    result = json.loads(figures.read_text())
    assert not {"baseline", "ratio", "ratios"} & set(result)
    assert "overlay" not in result["stages"]
    assert "baseline" not in capsys.readouterr().out


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
    ("arguments", "message"),
    [
        (["--frames", "0"], "frames: expected 1 or more, got 0"),
        (["--warm-up", "0"], "warm_up: expected 1 or more, got 0"),
        (["--batch", "0"], "batch: expected 1 or more, got 0"),
        (["--instances", "-1"], "instances: expected 0 or more, got -1"),
        (["--threads", "0"], "threads: expected 1 or more, got 0"),
        (["--box-area", "0"], "box_area: expected above 0 up to 1, got 0.0"),
        (["--box-area", "1.5"], "box_area: expected above 0 up to 1, got 1.5"),
        (["--image-size", "720"], "--image-size: expected WIDTHxHEIGHT in pixels"),
        (["--preset", "yolact_huge"], "yolact_huge"),
        (["--precision", "fp8"], "precision: expected one of auto, fp32, fp16, bf16, got 'fp8'"),
        (["--device", "tpu"], "device: expected auto, cpu, cuda or cuda:N, got 'tpu'"),
        (["--compile", "yes"], "compile: expected a bool or one of off, on, auto, got 'yes'"),
        (["--weights", "none.pth"], "none.pth"),
    ],
)
def test_wrong_values_of_stages_are_refused_in_one_line(part, arguments, message, capsys):
    assert main(["bench", *part, *arguments]) == 1
    captured = capsys.readouterr()
    error = captured.err.splitlines()[-1]
    assert error.startswith("yolact-ros: ") and message in error
    assert len(captured.err.splitlines()) <= 2  # the other says that there is no ROS
