# SPDX-License-Identifier: Apache-2.0
"""The pipe between `yolact-ros bench node` and the programs that it starts."""

import os

import pytest

from yolact_ros.errors import InputError
from yolact_ros.ros.bench.helper import Helper
from yolact_ros.ros.processes.children import Children

PROGRAM = """
import sys
from multiprocessing.connection import Connection
pipe = Connection(int(sys.argv[1]))
settings = pipe.recv()
print("a library says hello", flush=True)
pipe.send(settings["first"] + 1)
pipe.send(pipe.recv()["second"] + 1)
"""


@pytest.fixture
def helper(tmp_path, monkeypatch):
    (tmp_path / "program.py").write_text(PROGRAM)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    with Children() as children:
        log = tmp_path / "program.log"
        helper = Helper("program", {"first": 1}, log, name="the program")
        children.add(helper)
        yield helper


def test_it_answers_whatever_it_prints(helper):
    assert helper.answer(60, lambda: None) == 2
    helper.say({"second": 2})
    assert helper.answer(60, lambda: None) == 3
    assert helper.last_lines() == "a library says hello"


def test_nobody_waits_for_ever_for_an_answer(helper):
    assert helper.answer(60, lambda: None) == 2
    with pytest.raises(InputError, match=r"the program: expected an answer within 0\.3 s"):
        helper.answer(0.3, lambda: None)


def test_a_program_that_ends_is_seen_to_have_ended(helper):
    def check():
        if helper.exit_code is not None:
            raise InputError("it has ended")

    assert helper.answer(60, check) == 2
    helper.say({"wrong": 2})
    with pytest.raises(InputError, match="it has ended"):
        helper.answer(60, check)
    helper.say({"second": 2})  # which nobody hears
