# SPDX-License-Identifier: Apache-2.0
"""A child ends with its parent, even if that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import subprocess, sys, time
from yolact_ros.ros.processes.parent import end_with_parent
first = end_with_parent() if sys.argv[1] == "together" else None
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"], preexec_fn=first)
print(child.pid, flush=True)
time.sleep(30)
"""


def runs(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can")
@pytest.mark.parametrize("how, survives", [("together", False), ("alone", True)])
def test_child_of_a_killed_parent(how, survives):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, how], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    assert runs(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + (0.5 if survives else 10)
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert runs(child) == survives
    if survives:
        os.kill(child, signal.SIGKILL)
