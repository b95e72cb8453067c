# SPDX-License-Identifier: Apache-2.0
"""A run that is killed and resumed ends as one that was never broken."""

import os
import signal
import subprocess
import time

import pytest
import torch
from safetensors.torch import load_file

from yolact_ros.cli.main import main
from yolact_ros.training.plots import read_log

from .conftest import COMMAND

OPTIONS = (
    *("--max-steps", "10", "--batch-size", "2", "--seed", "4"),
    *("--checkpoint-every", "2", "--validate-every", "5"),
)


@pytest.fixture(scope="module")
def unbroken(train, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    train(out, *OPTIONS, "--workers", "0")  # unlike those that are broken off
    return out


def kill_after_a_checkpoint(command, out):
    """Starts a run and kills it, with all its processes, some steps after a new checkpoint."""
    checkpoint = out / "last.ckpt"
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    process = subprocess.Popen(
        command,
        cwd=out.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > before):
        assert process.poll() is None, process.stdout.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def test_killed_twice_and_resumed_it_ends_with_the_same_weights(
    unbroken, arguments, train, tmp_path
):
    out = tmp_path / "killed"
    command = [*COMMAND, *arguments(out, *OPTIONS)]
    kill_after_a_checkpoint(command, out)
    first = torch.load(out / "last.ckpt", weights_only=True)["global_step"]
    kill_after_a_checkpoint([*command, "--resume"], out)
    second = torch.load(out / "last.ckpt", weights_only=True)["global_step"]
    assert 0 < first < second < 10, "the kills came in the middle"
    assert f"resumed from step {second}" in train(out, *OPTIONS, "--resume")
    for name in ("last.safetensors", "best.safetensors"):
        expected, got = load_file(unbroken / name), load_file(out / name)
        assert expected.keys() == got.keys()
        different = [key for key in expected if not torch.equal(expected[key], got[key])]
        assert not different, name
    # What was logged is the same too: every loss, and both validations.
    expected, got = read_log(unbroken / "log"), read_log(out / "log")
    assert got["loss"] == expected["loss"]
    assert got["mask_ap"] == expected["mask_ap"]
    assert len(expected["loss"]) == 10
    assert len(expected["mask_ap"]) == 2


def test_a_finished_run_is_resumed_to_nothing(unbroken, arguments, capfd, monkeypatch):
    def no_measurement():
        raise AssertionError("what a run computes in was chosen when it was begun")

    monkeypatch.setattr("yolact_ros.training.options.time_convolution", no_measurement)
    before = load_file(unbroken / "last.safetensors")
    assert main(["train", *arguments(unbroken, *OPTIONS, "--resume")]) == 0
    after = load_file(unbroken / "last.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)
    printed = capfd.readouterr().out
    assert "is finished" in printed
    assert str(unbroken / "best.safetensors") in printed


def test_a_run_is_not_overwritten(unbroken, arguments, capfd):
    assert main(["train", *arguments(unbroken, *OPTIONS)]) == 1
    assert "out: expected a new folder, got the run in" in capfd.readouterr().err


def test_a_run_is_resumed_with_its_own_settings_only(unbroken, arguments, capfd):
    other = [*OPTIONS, "--seed", "5", "--learning-rate", "0.1"]
    assert main(["train", *arguments(unbroken, *other, "--resume")]) == 1
    message = capfd.readouterr().err
    assert "resume: expected the settings of the run in" in message
    assert "seed was 4 and is 5" in message
    assert "learning_rate" in message


@pytest.mark.parametrize("size", [0, 100_000])
def test_a_checkpoint_that_was_cut_off_is_told_in_one_line(
    unbroken, arguments, tmp_path, capfd, size
):
    out = tmp_path / "run"
    out.mkdir()
    (out / "run.json").write_bytes((unbroken / "run.json").read_bytes())
    (out / "last.ckpt").write_bytes((unbroken / "last.ckpt").read_bytes()[:size])
    assert main(["train", *arguments(out, *OPTIONS, "--resume")]) == 1
    error = capfd.readouterr().err
    assert f"resume: {out / 'last.ckpt'} is cut off, damaged or another program's" in error
    assert "Traceback" not in error and "torch" not in error


def test_there_must_be_a_run_to_resume(arguments, tmp_path, capfd):
    assert main(["train", *arguments(tmp_path / "none", *OPTIONS, "--resume")]) == 1
    assert "found no run.json there" in capfd.readouterr().err
