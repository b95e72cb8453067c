# SPDX-License-Identifier: Apache-2.0
"""The pipes between `yolact-ros bench node` and the programs that it starts."""

import pytest

from yolact_ros.errors import InputError
from yolact_ros.ros.bench.helper import Helper
from yolact_ros.ros.bench.viewer import _take
from yolact_ros.ros.processes.children import Children

PROGRAM = """
import sys
print("a library says hello")
print('{"answer": 1}', flush=True)
sys.stdin.read()
"""


def test_a_line_that_is_no_json_is_an_error_and_the_next_one_is_read(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    with Children() as children:
        path = {"PYTHONPATH": str(tmp_path)}
        helper = Helper(
            "program", {}, tmp_path / "program.log", name="the program", environment=path
        )
        children.add(helper)
        with pytest.raises(InputError, match="the program: expected JSON, got 'a library says he"):
            helper.answer(60, lambda: None)
        assert helper.answer(60, lambda: None) == {"answer": 1}


def test_results_that_come_meanwhile_are_for_the_next_question():
    class Results(list):
        def __getitem__(self, place):
            taken = super().__getitem__(place)
            self.extend((5, 6))  # as the other thread may
            return taken

    results = Results([1, 2, 3, 4])
    assert _take(results) == [1, 2, 3, 4]
    assert list(results) == [5, 6]
