# SPDX-License-Identifier: Apache-2.0
import fcntl
import os
import signal

import pytest

from yolact_ros.ros.shared_memory import (
    SHARED_MEMORY,
    left_behind,
    locks_of,
    remove_abandoned,
)


def test_what_nobody_holds_is_counted(tmp_path):
    sizes = {"fastrtps_aa": 1000, "fastrtps_bb": 500, "fastrtps_port7411": 20, "fastdds_aa": 7}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
        (tmp_path / f"{name}_el").touch()
    (tmp_path / "fastrtps_gone_el").touch()
    for name in ("another", "another_el"):
        (tmp_path / name).write_bytes(bytes(9))
    held = os.open(tmp_path / "fastrtps_bb_el", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert left_behind(tmp_path) == (3, 1027)
    os.close(held)
    assert left_behind(tmp_path) == (4, 1527)
    assert left_behind(tmp_path / "missing") == (0, 0)


def test_what_a_process_had_open_is_given_back_once_nobody_holds_it(tmp_path):
    names = ("fastrtps_aa", "fastrtps_bb", "fastrtps_cc", "fastrtps_port7411")
    locks = [tmp_path / f"{name}_el" for name in names]
    for name, lock in zip(names, locks, strict=True):
        (tmp_path / name).write_bytes(b"segment")
        lock.touch()
    assert locks_of(os.getpid(), tmp_path) == []
    opened = [os.open(lock, os.O_RDONLY) for lock in (*locks, tmp_path / "fastrtps_aa")]
    for held in (opened[0], opened[1], opened[3]):
        fcntl.flock(held, fcntl.LOCK_EX)
    # not what it has only opened, nor a port, into which others write
    found = locks_of(os.getpid(), tmp_path)
    assert sorted(found) == locks[:2]
    os.close(opened[0])
    remove_abandoned([*found, tmp_path / "fastrtps_gone_el"])
    assert {"fastrtps_aa", "fastrtps_aa_el"}.isdisjoint(os.listdir(tmp_path))
    assert len(os.listdir(tmp_path)) == 6
    for descriptor in opened[1:]:
        os.close(descriptor)


@pytest.mark.timeout(60)
def test_the_next_start_tells_of_a_killed_node(start):
    killed = start("yolact_node", autostart="false")
    killed.wait_for("waiting to be configured")
    if not any(SHARED_MEMORY.glob("fast*_*_el")):
        pytest.skip("the middleware in use is not Fast DDS with shared memory")
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()
    node = start("yolact_node", autostart="false")
    line = node.wait_for("left behind")
    assert "MB in /dev/shm" in line and "fastdds shm clean" in line
