# SPDX-License-Identifier: Apache-2.0
"""Several processes train as one with the joined batch."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
import torch
from safetensors.torch import load_file

from yolact_ros.cli.main import main
from yolact_ros.errors import InputError
from yolact_ros.training.plots import read_log
from yolact_ros.training.processes import require_ranks, share_of_cores

from .conftest import COMMAND

# Batch norms take their statistics from each process's own images, unless they are frozen.
# AdamW would make steps of one size of gradients that differ by rounding, whatever their own size.
OPTIONS = (
    *("--max-steps", "4", "--validate-every", "4", "--freeze-norms", "yes", "--seed", "1"),
    *("--recipe", "published", "--learning-rate", "0.001", "--workers", "0", "--average", "0.9"),
)
VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "SLURM_JOB_NAME")

LIGHTNING = {"NODE_RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "4"}
TORCHRUN = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "4"}
SRUN = {"SLURM_PROCID": "0", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4"}
STARTED = (
    # by whom, whether it is the run's first, its status after SIGTERM, its share of 8 cores
    ({}, True, 143, 2),
    (LIGHTNING, True, 143, 2),
    (LIGHTNING | {"LOCAL_RANK": "1"}, False, 0, 2),
    (LIGHTNING | {"NODE_RANK": "1"}, False, 143, 2),
    (TORCHRUN, True, 143, 2),
    (TORCHRUN | {"RANK": "4"}, False, 143, 2),
    (TORCHRUN | {"RANK": "5", "LOCAL_RANK": "1"}, False, 0, 2),
    (TORCHRUN | SRUN, True, 143, 2),
    (SRUN, True, 143, 8),
    (SRUN | {"SLURM_PROCID": "3"}, False, 143, 8),
    (SRUN | {"SLURM_JOB_NAME": "interactive"}, True, 143, 2),
)


@pytest.mark.parametrize(("variables", "first", "status", "cores"), STARTED)
def test_the_first_of_all_speaks_and_cores_are_shared_where_nobody_else_did(
    variables, first, status, cores, tmp_path, monkeypatch, capsys
):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert share_of_cores(4) == cores
    assert share_of_cores(100) == (8 if cores == 8 else 1)

    def stopped(arguments, stop):
        stop.number = signal.SIGTERM
        raise KeyboardInterrupt("after step 3 of 9")

    monkeypatch.setattr("yolact_ros.cli.train._train", stopped)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").touch()
    data = ["--train", "a.json", "--train-images", ".", "--val", "a.json", "--val-images", "."]
    assert main(["train", "--preset", "yolact_demo", "--out", "run", *data]) == status
    said = "stopped by SIGTERM after step 3 of 9; nothing was begun"
    assert (said in capsys.readouterr().err) == first


@pytest.mark.parametrize(
    ("name", "value", "end"),
    [
        *(("MASTER_PORT", value, 65536) for value in ("x", "-1", "65536", "")),
        *(("NODE_RANK", value, 2) for value in ("x", "2")),
        ("LOCAL_RANK", "4", 4),
        ("RANK", "8", 8),
    ],
)
def test_variables_that_fit_no_process_of_the_run_are_refused(name, value, end, monkeypatch):
    for each in VARIABLES:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, value)
    text = f"{name}: expected a number from 0 to {end - 1} in this variable, with --devices 4 and "
    with pytest.raises(InputError, match=re.escape(f"{text}--nodes 2, got {value!r}")):
        require_ranks(4, 2)
    monkeypatch.setenv(name, str(end - 1))
    require_ranks(4, 2)


def free_port(bound):
    """Bind to a port that nobody else uses, and return it."""
    bound.bind(("127.0.0.1", 0))
    return bound.getsockname()[1]


@pytest.fixture(scope="module")
def one_process(arguments, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "one"
    assert main(["train", *arguments(out, *OPTIONS, "--batch-size", "4")]) == 0
    return out


def require_equal(one, other):
    """First losses to 1e-6, all to 1e-5; averaged weights to 1e-5 of the largest and 1e-7; AP to
    1e-3.
    """
    expected, got = read_log(one / "log"), read_log(other / "log")
    for name in ("loss", "loss_box", "loss_class", "loss_mask", "loss_semantic"):
        assert len(expected[name]) == 4
        assert got[name][0] == pytest.approx(expected[name][0], rel=1e-6), name
        assert got[name] == pytest.approx(expected[name], rel=1e-5), name
    weights, others = load_file(one / "last.safetensors"), load_file(other / "last.safetensors")
    for name, tensor in weights.items():
        difference = (tensor - others[name]).abs().max().item()
        assert difference <= 1e-5 * tensor.abs().max().item() + 1e-7, name
    assert got["mask_ap"] == pytest.approx(expected["mask_ap"], abs=1e-3)


def test_two_processes_equal_one_with_the_doubled_batch(one_process, train, tmp_path):
    out = tmp_path / "two"
    # with loader workers, as by default, unlike the one process
    options = ("--batch-size", "2", "--devices", "2", "--workers", "1")
    printed = train(out, *OPTIONS, *options)
    assert printed.count("best at step") == 1  # one of them speaks
    require_equal(one_process, out)


def test_two_machines_equal_one_with_the_doubled_batch(one_process, arguments, tmp_path):
    """Two processes that find each other as two machines do, by address and number."""
    out = tmp_path / "machines"
    with socket.socket() as free:
        port = free_port(free)
    processes = [
        subprocess.Popen(
            [*COMMAND, *arguments(out, *OPTIONS, "--batch-size", "2", "--nodes", "2")],
            cwd=tmp_path,
            env={
                **os.environ,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "NODE_RANK": str(number),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(2)
    ]
    printed = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(printed)
    require_equal(one_process, out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("machine", [0, 1])
def test_a_machine_that_waits_for_another_says_so_and_can_be_ended(
    machine, number, arguments, tmp_path
):
    out = tmp_path / "run"
    with socket.socket() as free:
        variables = {"MASTER_PORT": str(free_port(free)), "NODE_RANK": str(machine)}
    with subprocess.Popen(
        [*COMMAND, *arguments(out, *OPTIONS, "--nodes", "2")],
        cwd=tmp_path,
        env={**os.environ, "MASTER_ADDR": "127.0.0.1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            printed = ""
            while not printed.endswith("(MASTER_ADDR, MASTER_PORT)\n"):
                line = process.stdout.readline()
                assert line, printed
                printed += line
            assert "waiting for 2 processes on 2 machines at 127.0.0.1:" in printed
            process.send_signal(number)
            rest = process.communicate(timeout=60)[0]
        finally:
            process.kill()
    assert process.returncode == 128 + number, rest
    assert ("before the first step; to go on: yolact-ros train" in rest) is (machine == 0)
    assert "Traceback" not in rest


def test_an_address_that_is_taken_is_told(arguments, tmp_path):
    with socket.socket() as taken:
        port = free_port(taken)
        taken.listen()
        result = subprocess.run(
            [*COMMAND, *arguments(tmp_path / "run", *OPTIONS, "--nodes", "2")],
            cwd=tmp_path,
            env={**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert result.returncode == 1, result.stderr
    line = result.stderr.splitlines()[-1]
    assert line.startswith("yolact-ros: nodes: expected 2 processes on 2 machines at 127.0.0.1:")
    assert "address already in use" in line.lower()


def test_a_signal_to_one_ends_two_processes_together_and_one_goes_on(arguments, tmp_path, capfd):
    """A batch system's SIGTERM may reach the first process alone."""
    out = tmp_path / "run"
    options = (*OPTIONS, "--max-steps", "1000", "--validate-every", "1000")
    words = arguments(out, *options, "--checkpoint-every", "1")
    process = subprocess.Popen(
        [*COMMAND, *words, "--batch-size", "2", "--devices", "2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (out / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + signal.SIGTERM, printed
    step = torch.load(out / "last.ckpt", weights_only=True)["global_step"]
    assert f"stopped by SIGTERM after step {step} of 1000; to go on: yolact-ros train" in printed
    assert printed.count("stopped by") == 1 and "Traceback" not in printed
    more = ("--batch-size", "4", "--max-steps", str(step + 1), "--validate-every", str(step + 1))
    assert main(["train", *words, *more, "--resume"]) == 0
    printed = capfd.readouterr().out
    assert "batch_size was 2 and is 4; devices was 2 and is 1; max_steps was 1000" in printed


def test_a_loss_that_is_no_number_on_one_process_stops_both(arguments, scenes, tmp_path):
    """They begin with fewer validation images than processes."""
    content = json.loads((scenes / "annotations.json").read_text())
    first = content["images"][0]["id"]
    content["images"] = content["images"][:1]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] == first]
    (tmp_path / "one.json").write_text(json.dumps(content))
    options = ("--max-steps", "20", "--batch-size", "2", "--devices", "2", "--workers", "0")
    options += ("--val", str(tmp_path / "one.json"), "--validate-every", "1")
    diverging = ("--learning-rate", "1e9", "--gradient-clip", "0")
    result = subprocess.run(
        [*COMMAND, *arguments(tmp_path / "run", *options, *diverging)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 1
    assert "expected finite numbers at step" in result.stderr
    assert "Traceback" not in result.stderr
