# SPDX-License-Identifier: Apache-2.0
"""Use of processor, memory and GPU, on a process that uses a known amount of it."""

import math
import os
import subprocess
import sys
import time

import pytest

from yolact_ros.ros.bench import process_use

SPENDER = """
import sys, time
data = bytearray(50_000_000)
data[::4096] = b"x" * len(data[::4096])
begin = time.process_time()
while time.process_time() - begin < 0.5:
    pass
print("ready", flush=True)
sys.stdin.read()
"""

SMI = """#!/usr/bin/env python3
import pathlib, sys, time
arguments = sys.argv[1:]
assert arguments[0] == "--id=1", arguments
assert "--format=csv,noheader,nounits" in arguments
if "--query-gpu=utilization.gpu" in arguments:
    assert "--loop-ms=500" in arguments
    for use in ("40", "80", "[N/A]"):
        print(use, flush=True)
    pathlib.Path(__file__).with_name("told").touch()
    time.sleep(60)
elif "--query-gpu=memory.used" in arguments:
    print(1000)
else:
    sys.exit(1)
"""


@pytest.fixture
def spender():
    process = subprocess.Popen(
        [sys.executable, "-c", SPENDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process.pid
    process.communicate("")


def test_processor_and_memory_of_a_process(spender):
    assert 0.5 <= process_use.processor_seconds([spender]) < 2
    memory = process_use.memory_of([spender])
    assert 50 < memory["without_files_mb"] <= memory["pss_mb"] <= memory["rss_mb"]
    assert memory["rss_mb"] <= memory["peak_rss_mb"] + 0.1 < 150


def test_of_a_process_that_is_gone_nobody_tells():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert math.isnan(process_use.processor_seconds([process.pid]))
    assert all(map(math.isnan, process_use.memory_of([process.pid]).values()))


@pytest.mark.parametrize(
    "device, visible, expected",
    [
        ("cpu", "", None),
        ("cuda", "", "0"),
        ("cuda:2", "", "2"),
        ("cuda:1", "3,5", "5"),
        ("cuda", "GPU-abc", "GPU-abc"),
    ],
)
def test_which_gpu_a_device_is(device, visible, expected, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert process_use.gpu_of(device) == expected


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """A program that answers as nvidia-smi does; the file appears when it has told its numbers."""
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path / "told"


def test_use_and_memory_of_a_gpu(smi):
    with process_use.gpu_watched("cuda:1") as use:
        deadline = time.monotonic() + 20
        while not smi.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert use == []
    assert use == pytest.approx([0.4, 0.8])
    assert process_use.gpu_memory("cuda:1") == pytest.approx(1048.576)


def test_nobody_waits_for_ever_for_a_program_that_hangs(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/usr/bin/env bash\ntrap '' TERM\nwhile :; do sleep 0.1; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(process_use, "_LONGEST", 0.5)
    with process_use.gpu_watched("cuda") as use:
        time.sleep(0.3)
    assert use == [] and math.isnan(process_use.gpu_memory("cuda"))


def test_a_gpu_that_is_not_used_is_not_asked(smi):
    with process_use.gpu_watched("cpu") as use:
        pass
    assert use == []
    assert math.isnan(process_use.gpu_memory("cpu"))


def test_without_the_program_nobody_tells(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with process_use.gpu_watched("cuda") as use:
        pass
    assert use == [] and math.isnan(process_use.gpu_memory("cuda"))
