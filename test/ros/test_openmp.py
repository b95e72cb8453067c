# SPDX-License-Identifier: Apache-2.0
"""Threads of a network on a CPU."""

import dataclasses
import threading

import pytest

from yolact_ros.ros import runtime as engine
from yolact_ros.ros.openmp import wait_briefly
from yolact_ros.ros.parameters.table import PARAMETERS, Settings

SETTINGS = Settings.from_values({spec.name: spec.default for spec in PARAMETERS})


class FakeSegmenter:
    def __init__(self, **options):
        self.options = options
        self.threads = {threading.current_thread()}
        self.batches = []

    def warm_up(self, batch):
        self.threads.add(threading.current_thread())
        self.batches.append(batch)


def test_the_network_is_loaded_and_run_first_in_a_thread_that_ends(monkeypatch):
    monkeypatch.setattr(engine, "Segmenter", FakeSegmenter)
    segmenter = engine.load_segmenter(SETTINGS, cameras=3)
    [thread] = segmenter.threads
    assert thread is not threading.current_thread() and not thread.is_alive()
    assert segmenter.batches == [1, 3]
    assert segmenter.options["score_threshold"] == SETTINGS.score_threshold


def test_a_compiled_network_runs_every_size_of_batch_first(monkeypatch):
    monkeypatch.setattr(engine, "Segmenter", FakeSegmenter)
    settings = dataclasses.replace(SETTINGS, compile=True, max_batch=2)
    assert engine.load_segmenter(settings, cameras=3).batches == [1, 2]


def test_what_loading_raises_comes_through(monkeypatch):
    def refuse(**options):
        raise ValueError("weights: expected better ones")

    monkeypatch.setattr(engine, "Segmenter", refuse)
    with pytest.raises(ValueError, match="expected better ones"):
        engine.load_segmenter(SETTINGS, cameras=1)


def test_threads_wait_briefly_unless_the_user_wants_otherwise():
    environment = {}
    wait_briefly(environment)
    assert environment == {"GOMP_SPINCOUNT": "3000"}
    for chosen in ({"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}):
        environment = dict(chosen)
        wait_briefly(environment)
        assert environment == chosen
