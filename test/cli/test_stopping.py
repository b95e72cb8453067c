# SPDX-License-Identifier: Apache-2.0
"""Signals that `train` gets before its first step, within a step, and twice."""

import os
import signal

import pytest

from yolact_ros.cli.stopping import TrainingSignals

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", NUMBERS)
def test_one_raises_before_the_first_step_and_is_noted_from_then_on(number):
    before = signal.getsignal(number)
    with TrainingSignals() as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    with TrainingSignals() as stop:
        stop.at_once = False
        os.kill(os.getpid(), number)
        assert stop.number == number
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("second", NUMBERS)
def test_a_second_one_kills(second):
    child = os.fork()
    if child == 0:
        with TrainingSignals() as stop:
            stop.at_once = False
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), second)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -second
