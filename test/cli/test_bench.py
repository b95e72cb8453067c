# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from yolact_ros.cli.main import main

LOSSES = ["bench", "losses", "--preset", "yolact_demo", "--batch", "2", "--objects", "3"]


def test_losses_are_measured_against_the_loop(tmp_path, capsys):
    path = tmp_path / "new" / "cost.json"
    assert main([*LOSSES, "--repeats", "1", "--json", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    cost = json.loads(path.read_text())
    assert lines[0].startswith(f"yolact_demo, 2 images with 3 objects each, {cost['positives']} p")
    for line, name in zip(lines[2:4], ("milliseconds", "megabytes"), strict=True):
        loop, batched, ratio = (float(word) for word in line.split()[-3:])
        assert loop == pytest.approx(cost["loop"][name], abs=0.051)
        assert batched == pytest.approx(cost["batched"][name], abs=0.051)
        assert ratio == pytest.approx(cost["loop"][name] / cost["batched"][name], abs=0.051)
    assert f"loss {cost['loss']:.6f}" in lines[4]
    assert cost["difference"] < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "0"], "batch: expected 1 or more, got 0"),
        (["--preset", "yolact_huge"], "yolact_huge"),
        (["--device", "tpu"], "device: expected auto, cpu, cuda or cuda:N, got 'tpu'"),
    ],
)
def test_wrong_values_are_refused_in_one_line(arguments, message, capsys):
    assert main([*LOSSES, *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
