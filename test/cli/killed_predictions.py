# SPDX-License-Identifier: Apache-2.0
"""Predicts again and again, each time in a child that is killed at a random moment.

Arguments: the number of times, and a JSON object of the commands' arguments, each by the folder
for its outputs, of which each time gets one.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import yolact_ros.cli.prediction.predictor
import yolact_ros.inference  # once, not in each child  # noqa: F401
from yolact_ros.cli.main import main

IMAGES = 8
"""It is killed within the time that so many images take, by the first one."""


def killed(arguments: list[str], out: Path) -> bool:
    """Whether it was killed before it ended."""
    begin = time.monotonic()
    child = os.fork()
    if not child:
        os._exit(main([*arguments, "--out", str(out)]))
    while not any("file_name" in file.read_text() for file in out.glob("*.json")):
        begin = begin if any(out.glob("*.json")) else time.monotonic()
        assert os.waitpid(child, os.WNOHANG) == (0, 0), arguments
        time.sleep(0.002)
    time.sleep(random.uniform(0, IMAGES * (time.monotonic() - begin)))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


count, commands = int(sys.argv[1]), json.loads(sys.argv[2])
random.seed(count)
for number in range(count):
    for folder, arguments in commands.items():
        print(number, killed(arguments, Path(folder) / str(number)), flush=True)
