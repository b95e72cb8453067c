# SPDX-License-Identifier: Apache-2.0
"""Domain ids are the caller's alone."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from yolact_ros.ros.processes import domain_id

PROGRAM = Path(__file__).parents[2] / "scripts" / "free_domain_id.py"


@pytest.fixture
def two_ids(monkeypatch, tmp_path):
    """As if there were two domains, and nobody else on the machine who takes any."""
    monkeypatch.setattr(domain_id, "HIGHEST", 2)
    monkeypatch.setattr(domain_id, "_FOLDER", tmp_path)
    monkeypatch.setattr(domain_id, "_nobody_listens", lambda number: True)
    return domain_id


def test_no_id_is_given_twice_at_a_time(two_ids):
    with two_ids.reserve() as first, two_ids.reserve() as second:
        assert {first, second} == {1, 2}
        with pytest.raises(RuntimeError, match="from 1 to 2 are in use"), two_ids.reserve():
            pass
    with two_ids.reserve() as again:
        assert again in (1, 2)


def test_ids_that_another_user_took_before_are_free_again(two_ids, tmp_path, monkeypatch):
    before = os.umask(0o077)
    try:
        with two_ids.reserve(), two_ids.reserve():
            pass
    finally:
        os.umask(before)
    files = list(tmp_path.iterdir())
    assert [file.stat().st_mode & 0o777 for file in files] == [0o644, 0o644]
    opened = os.open

    def as_another_user(path, flags, *mode):
        # what fs.protected_regular, set on most machines, does in /tmp
        if Path(path) in files and flags & os.O_CREAT:
            raise PermissionError(path)
        return opened(path, flags, *mode)

    monkeypatch.setattr(two_ids.os, "open", as_another_user)
    with two_ids.reserve() as first, two_ids.reserve() as second:
        assert {first, second} == {1, 2}


@pytest.mark.parametrize("port", [0, 10])  # of all participants, and of the first alone
def test_a_domain_with_participants_is_not_free(port):
    free = next(number for number in range(1, 102) if domain_id._nobody_listens(number))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        # as DDS does, so that several participants of a machine hear the same multicast
        participant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        participant.bind(("", 7400 + 250 * free + port))
        assert not domain_id._nobody_listens(free)
    assert domain_id._nobody_listens(free)


def _start(*command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, PROGRAM, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_commands_that_run_together_have_different_ids():
    commands = [_start("sh", "-c", "echo $ROS_DOMAIN_ID; read line") for _ in range(8)]
    ids = [int(command.stdout.readline()) for command in commands]
    for command in commands:
        command.communicate("\n")
    assert len(set(ids)) == len(ids)
    assert all(1 <= number <= 101 for number in ids)


def test_the_commands_status_is_passed_on():
    assert _start("sh", "-c", "exit 7").wait() == 7


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "expected a command"),
        (["nothing-there"], "nothing-there: expected a program in PATH or its path, found none"),
        (["./nothing-there"], "./nothing-there: expected a program in PATH"),
    ],
)
def test_a_missing_command_is_one_line(arguments, expected, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)  # as another user's folder is, unless root runs this
    path = f"{closed}:{os.environ['PATH']}"
    result = subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(expected) and result.stderr.count("\n") == 1
