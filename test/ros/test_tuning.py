# SPDX-License-Identifier: Apache-2.0
import ctypes
import os
import resource
import subprocess
import sys

import pytest

from yolact_ros.ros.tuning import keep_freed_memory, wait_briefly

SIZE = 6 << 20
PAGES = SIZE // resource.getpagesize()

PROGRAM = f"""
import ctypes, resource, sys
from yolact_ros.ros.tuning import keep_freed_memory
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: with huge pages there are few faults
if sys.argv[1] == "keep":
    assert keep_freed_memory({{}})
def fill():
    one, other = bytearray({SIZE}), bytearray({SIZE})
    for block in (one, other):
        block[:: {resource.getpagesize()}] = bytes(len(block) // {resource.getpagesize()})
for _ in range(3):
    fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    """Page faults of ten rounds that use two blocks as large as images."""
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no glibc")
def test_blocks_as_large_as_images_are_used_again():
    # Of 20 such blocks. The control: left alone, glibc hands out fresh pages again and again.
    assert faults("keep") < PAGES / 10
    assert faults("default") > 10 * PAGES


ROOM = """
import ctypes
from types import SimpleNamespace as Message
from pathlib import Path
from yolact_ros.ros import tuning
assert tuning.keep_freed_memory({})
tuning._CALM = -1.0
def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
room = tuning.ImageRoom()
def after(topic, **message):
    # what a hole of 20 MB leaves, with something behind it that stays in use
    room.note(topic, Message(**message))
    block, behind = malloc(40 << 19), malloc(1000)
    ctypes.memset(block, 1, 40 << 19)
    free(block)
    return megabytes()
print(*[
    after("image", height=480, step=1920),
    after("depth", height=480, step=640),
    after("compressed", format="jpeg"),
    after("info", height=480),
    after("info", height=720),
    after("depth", height=480, step=640),
    after("depth", height=240, step=640),
    after("depth", height=240, step=640),
])
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no glibc")
def test_blocks_are_kept_but_while_images_change_their_size():
    command = [sys.executable, "-c", ROOM]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    same, *others, changed, again = map(int, result.stdout.split())
    assert all(abs(each - same) < 3 for each in [*others, again]), result.stdout
    assert changed < same - 15, result.stdout


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_the_user_s_own_settings_are_left_alone(name):
    assert not keep_freed_memory({name: "1"})


def test_threads_wait_briefly_unless_the_user_wants_otherwise():
    environment = {}
    wait_briefly(environment)
    assert environment == {"GOMP_SPINCOUNT": "3000"}
    for chosen in ({"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}):
        environment = dict(chosen)
        wait_briefly(environment)
        assert environment == chosen


def test_decoders_write_nothing_unless_the_user_wants_it():
    """The node says what is wrong with a picture, once; OpenCV says it of every one."""
    program = (
        "from yolact_ros.ros.tuning import silence_decoders\n"
        "silence_decoders()\n"
        "import cv2, numpy\n"
        "picture = cv2.imencode('.bmp', numpy.zeros((50, 50, 3), 'u1'))[1]\n"
        "assert cv2.imdecode(picture[:-1000], 1) is None"
    )
    for level, text in ((None, False), ("INFO", True)):
        environment = os.environ | ({"OPENCV_LOG_LEVEL": level} if level else {})
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        assert ("imdecode_" in done.stderr) == text
