# SPDX-License-Identifier: Apache-2.0
"""What the parameters make of a segmenter, in which thread, and which batches it runs first."""

import dataclasses
import threading

import pytest
import torch

from yolact_ros.ros import loading
from yolact_ros.ros.parameters.table import PARAMETERS, Settings

SETTINGS = Settings.from_values({spec.name: spec.default for spec in PARAMETERS})


class FakeSegmenter:
    device = torch.device("cpu")

    def __init__(self, **options):
        self.options = options
        self.threads = {threading.current_thread()}
        self.batches = []

    def warm_up(self, batch):
        self.threads.add(threading.current_thread())
        self.batches.append(batch)


def test_the_network_is_loaded_and_run_first_in_a_thread_that_ends(monkeypatch):
    monkeypatch.setattr(loading, "Segmenter", FakeSegmenter)
    segmenter = loading.load_segmenter(SETTINGS, cameras=3)
    [thread] = segmenter.threads
    assert thread is not threading.current_thread() and not thread.is_alive()
    assert segmenter.batches == [1, 3]
    assert segmenter.options["score_threshold"] == SETTINGS.score_threshold


def test_a_compiled_network_runs_every_size_of_batch_first(monkeypatch):
    monkeypatch.setattr(loading, "Segmenter", FakeSegmenter)
    settings = dataclasses.replace(SETTINGS, compile=True, max_batch=2)
    assert loading.load_segmenter(settings, cameras=3).batches == [1, 2]


def test_a_gpu_records_every_size_of_batch_first(monkeypatch):
    monkeypatch.setattr(loading, "Segmenter", FakeSegmenter)
    monkeypatch.setattr(FakeSegmenter, "device", torch.device("cuda:0"))
    assert loading.load_segmenter(SETTINGS, cameras=4).batches == [1, 2, 3, 4]


def test_what_loading_raises_comes_through(monkeypatch):
    def refuse(**options):
        raise ValueError("weights: expected better ones")

    monkeypatch.setattr(loading, "Segmenter", refuse)
    with pytest.raises(ValueError, match="expected better ones"):
        loading.load_segmenter(SETTINGS, cameras=1)
