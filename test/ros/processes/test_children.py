# SPDX-License-Identifier: Apache-2.0
"""No child is left, whenever Ctrl-C comes and however often."""

import signal
import subprocess
import sys

import pytest

from yolact_ros.ros.signals import HeldSignals

from ..conftest import Descendant

pytestmark = pytest.mark.timeout(60)

START = """
import os, signal, sys, threading, time
from pathlib import Path
from yolact_ros.ros.processes.children import ChildProcess, Children
from yolact_ros.ros.signals import HeldSignals

def start(children, script):
    child = ChildProcess("child", [sys.executable, "-c", script], Path(os.devnull))
    children.add(child)
    print(child.pid, flush=True)
    return child

SLEEP = "import time; time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
"""

WITHIN_POLL = """
class Lock:
    def __init__(self, lock):
        self.lock = lock
        self.release = lock.release

    def acquire(self, *arguments):
        taken = self.lock.acquire(*arguments)
        if not pressed:
            pressed.append(True)
            signal.raise_signal(signal.SIGINT)
        return taken

    def __enter__(self):
        self.acquire()

    def __exit__(self, *error):
        self.release()

pressed = []
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the shell has set
with Children(patience=0.5) as children:
    process = start(children, SLEEP)._process
    process._waitpid_lock = Lock(process._waitpid_lock)
    children.ended()
"""

AGAIN_AND_AGAIN = """
def press():
    while not over:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.001)

over = []
thread = threading.Thread(target=press)
with HeldSignals() as signals:
    try:
        with Children(patience=0.5) as children:
            thread.start()
            for script in (SLEEP, DEAF):
                start(children, script)
            deadline = time.monotonic() + 0.5
            while time.monotonic() < deadline:
                assert children.ended() is None
            signals.check()
    finally:
        over.append(True)
        thread.join()
"""


@pytest.fixture
def as_a_shell_does_in_the_background():
    """What is started ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def require_nothing_left(script, folder, children):
    """Runs a program that ends with Ctrl-C; `children` is how many it starts."""
    program = subprocess.run(
        [sys.executable, "-c", START + script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert program.stderr.splitlines()[-1:] == ["KeyboardInterrupt"], program.stderr
    pids = [int(line) for line in program.stdout.splitlines()]
    assert len(pids) == children
    assert not any(Descendant(pid).is_running() for pid in pids)


def test_ctrl_c_just_after_subprocess_has_taken_its_lock(tmp_path):
    require_nothing_left(WITHIN_POLL, tmp_path, children=1)


def test_ctrl_c_again_and_again(tmp_path):
    require_nothing_left(AGAIN_AND_AGAIN, tmp_path, children=2)


@pytest.mark.usefixtures("as_a_shell_does_in_the_background")
def test_ctrl_c_of_what_ignores_it_from_the_start(tmp_path):
    require_nothing_left(AGAIN_AND_AGAIN, tmp_path, children=2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_held_signal_is_raised_where_somebody_looks_and_no_earlier(number):
    before = signal.getsignal(number)
    reached = []
    with pytest.raises(KeyboardInterrupt), HeldSignals() as signals:
        signals.check()
        signal.raise_signal(number)
        reached.append("here")
        signals.check()
        reached.append("there")
    assert reached == ["here"]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("error", [None, ValueError("a child ended, of the same Ctrl-C")])
def test_a_held_signal_is_raised_at_the_end(error):
    with pytest.raises(KeyboardInterrupt), HeldSignals():
        signal.raise_signal(signal.SIGINT)
        if error is not None:
            raise error


def test_without_a_signal_an_error_goes_on():
    with pytest.raises(ValueError), HeldSignals():
        raise ValueError
