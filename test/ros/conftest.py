# SPDX-License-Identifier: Apache-2.0
"""Real nodes in processes of their own, and a peer in the test's process that speaks with them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy
from ament_index_python.packages import get_package_prefix
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy

from yolact_ros.ros.fastdds_profile import (
    PROFILE_VARIABLES,
    localhost_variables,
    profile_variables,
)
from yolact_ros.ros.processes.domain_id import reserve

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="session", autouse=True)
def _dds_of_this_process():
    """Fast DDS reads its profile once in a process, when the first node is made."""
    os.environ.update(profile_variables() | localhost_variables())


@pytest.fixture
def domain_id():
    """A ROS domain that is this test's own."""
    with reserve() as domain_id:
        yield domain_id


class Descendant:
    """A process that another one started."""

    def __init__(self, pid):
        self.pid = pid

    def is_running(self):
        fields = _fields_of(Path(f"/proc/{self.pid}/stat"))
        return fields is not None and fields[0] != "Z"


def _fields_of(stat):
    """State, parent and what follows, from Linux's own file; None: the process is gone."""
    try:
        return stat.read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


class Program:
    """A running process whose output is read as it comes."""

    def __init__(self, command, environment, log):
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    @property
    def output(self):
        return self.log.read_text(errors="replace")

    def lines(self, pattern):
        """The lines that match a regular expression."""
        return [line for line in self.output.splitlines() if re.search(pattern, line)]

    def wait_for(self, pattern, timeout=60.0, count=1):
        """Waits for lines that match, and returns the last of them."""
        deadline = time.monotonic() + timeout
        while len(found := self.lines(pattern)) < count:
            assert self.process.poll() is None, (
                f"ended with {self.process.returncode}:\n{self.output}"
            )
            assert time.monotonic() < deadline, f"no {pattern!r} within {timeout} s:\n{self.output}"
            time.sleep(0.02)
        return found[-1]

    def children(self):
        """The processes that it started."""
        return [
            Descendant(int(stat.parent.name))
            for stat in Path("/proc").glob("[0-9]*/stat")
            if (fields := _fields_of(stat)) is not None and int(fields[1]) == self.process.pid
        ]

    def interrupt(self, with_signal=signal.SIGINT, timeout=10.0):
        """Sends Ctrl-C; returns the exit code and the seconds that the end took."""
        begin = time.monotonic()
        self.process.send_signal(with_signal)
        return self.process.wait(timeout), time.monotonic() - begin

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def start_command(domain_id, tmp_path):
    """Starts commands in the test's domain; all end with the test."""
    programs = []

    def start_one(command, profile=True):
        environment = dict(os.environ, ROS_DOMAIN_ID=str(domain_id), PYTHONUNBUFFERED="1")
        if not profile:
            for variable in PROFILE_VARIABLES:
                environment.pop(variable, None)
        log = tmp_path / f"{Path(command[0]).name}.{len(programs)}.log"
        programs.append(Program(command, environment, log))
        return programs[-1]

    yield start_one
    for program in programs:
        program.process.poll() is None and program.process.send_signal(signal.SIGINT)
    for program in programs:
        program.end()


@pytest.fixture
def start(start_command):
    """Starts processes in the test's domain; all end with the test.

    `start("yolact_node", score_threshold=0.3)` starts an executable of the package with parameters,
    `start("count_frames.py", ...)` a program of programs/ with arguments, and
    `start("yolact_ros.ros.demo", ...)` a module with arguments.
    """

    def start_one(name, *arguments, profile=True, **parameters):
        if name.endswith(".py"):
            command = [sys.executable, PROGRAMS / name, *arguments]
        elif "." in name:
            command = [sys.executable, "-m", name, *arguments]
        else:
            command = [Path(get_package_prefix("yolact_ros")) / "lib" / "yolact_ros" / name]
            command += ["--ros-args", *arguments]
            for parameter, value in parameters.items():
                command += ["-p", f"{parameter.replace('__', '.')}:={value}"]
        return start_command(command, profile)

    return start_one


class Peer:
    """A node in the test's process."""

    def __init__(self, domain_id):
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("test_peer", context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)

    def spin(self, seconds):
        """Serves callbacks for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=max(0.0, deadline - time.monotonic()))

    def until(self, condition, timeout=30.0, what="condition"):
        """Serves callbacks until the condition holds, and returns its value."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
            self._executor.spin_once(timeout_sec=0.05)
        return value

    def collect(self, message_type, topic, qos=None):
        """Subscribes, reliably by default, and returns the list that messages go to."""
        received = []
        qos = qos or QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        self.node.create_subscription(message_type, topic, received.append, qos)
        return received

    def publisher(self, message_type, topic, reliable=True, depth=5):
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        return self.node.create_publisher(
            message_type, topic, QoSProfile(depth=depth, reliability=reliability)
        )

    def call(self, service_type, name, timeout=60.0, **fields):
        """Calls a service and returns its response."""
        client = self.node.create_client(service_type, name)
        self.until(client.service_is_ready, what=f"service {name}")
        future = client.call_async(service_type.Request(**fields))
        self.until(future.done, timeout, what=f"answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def close(self):
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def peer(domain_id):
    peer = Peer(domain_id)
    yield peer
    peer.close()


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Parameters that give the node weights: none where weights ship."""
    from yolact_ros.inference import shipped_weights
    from yolact_ros.presets import get_preset

    if shipped_weights(get_preset("yolact_demo")) is not None:
        return {}
    import torch

    from yolact_ros.checkpoints import save_checkpoint
    from yolact_ros.network import build_network

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_checkpoint(build_network("yolact_demo"), path, {"preset": "yolact_demo"})
    return {"weights": path}


@pytest.fixture
def say(capsys):
    """Prints measured figures past pytest's capturing: every run but pytest-xdist's shows them."""

    def say(text):
        with capsys.disabled():
            print(f"\n{text}", flush=True)

    return say
