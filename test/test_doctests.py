# SPDX-License-Identifier: Apache-2.0
"""The examples in the docstrings of the public entry points run as they stand."""

import doctest
import importlib

import pytest

EXAMPLES = [
    "yolact_ros.checkpoints:load_checkpoint",
    "yolact_ros.datasets.coco:read_dataset",
    "yolact_ros.errors:expect_one_of",
    "yolact_ros.evaluation.coco:coco_evaluation",
    "yolact_ros.inference:Segmenter",
    "yolact_ros.masks:decode_mask",
    "yolact_ros.masks:full_mask",
    "yolact_ros.network:build_network",
    "yolact_ros.presets:get_preset",
    "yolact_ros.presets:with_backbone",
    "yolact_ros.presets:with_classes",
    "yolact_ros.scenes:Scene",
    "yolact_ros.space:Camera",
    "yolact_ros.space:objects",
    "yolact_ros.structures:Instances",
    "yolact_ros.structures:PackedMask",
    "yolact_ros.training.losses.multibox:MultiBoxLoss",
    "yolact_ros.training.recipe:Recipe",
    "yolact_ros.visualization:draw_overlay",
    "yolact_ros.web.page:render_page",
]
"""Where a user imports it from, and its name. Each has an example."""

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("entry", EXAMPLES)
def test_the_example_runs(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # examples may write files
    module_name, name = entry.split(":")
    public = getattr(importlib.import_module(module_name), name)
    names = dict(vars(importlib.import_module(public.__module__)))
    [own, *_] = doctest.DocTestFinder(recurse=False).find(public, name, globs=names)
    assert own.examples, f"{entry} has no example"
    printed = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(own, out=printed.append)
    assert not runner.failures, "".join(printed)
