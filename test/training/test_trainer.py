# SPDX-License-Identifier: Apache-2.0
"""What the options of a run become, before its first step."""

import copy
import json

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import nn

from yolact_ros.datasets.coco import CocoDataset, CocoImage
from yolact_ros.errors import InputError
from yolact_ros.presets import get_preset
from yolact_ros.training import trainer
from yolact_ros.training.options import TrainingOptions, resolve
from yolact_ros.training.recipe import RECIPES
from yolact_ros.training.run_folder import RunFolder
from yolact_ros.training.validation import Validator


@pytest.fixture
def options(scenes, tmp_path):
    """Makes the options of a run by a recipe, on `scenes` with an image without objects."""
    content = json.loads((scenes / "annotations.json").read_text())
    empty = content["images"][-1]["id"]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != empty]
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps(content))

    def make(recipe):
        data = [file], [scenes / "images"]
        return TrainingOptions(
            "yolact_demo", *data, *data, tmp_path / "run", RECIPES[recipe],
            device="cpu", precision="fp32", max_steps=2, loggers=(),
        )  # fmt: skip

    return make


@pytest.mark.parametrize(("recipe", "images", "negatives"), [("published", 5, 0), ("short", 6, 32)])
def test_images_without_objects_are_trained_on_as_the_recipe_says(
    options, capfd, recipe, images, negatives
):
    chosen = options(recipe)
    data = trainer._read_data(chosen)
    assert (len(data.training), len(data.validation)) == (images, 6)
    said = "1 of 6 images have no objects and are left out, as published; `--recipe short` learns"
    assert (said in capfd.readouterr().out) == (recipe == "published")
    module, _ = trainer._make_module(get_preset("yolact_demo"), resolve(chosen, 6), goes_on=False)
    assert module.loss.least_negatives == negatives


def test_the_average_that_is_used_is_warmed_up(options, tmp_path):
    run = resolve(options("short"), 6)
    made = trainer._make_trainer(run, RunFolder(tmp_path), [Callback(), Callback()], 0, False)
    [averaging] = [each for each in made.callbacks if isinstance(each, WeightAveraging)]
    module = lightning.LightningModule()
    module.layer = nn.Linear(1, 1)
    averaging.setup(made, module, "fit")
    for step in range(20):
        nn.init.constant_(module.layer.weight, float(step == 0))
        averaging._average_model.update_parameters(module)
    left = averaging._average_model.module.layer.weight.item()
    assert 0 < left < 1e-5, "0.96 where the decay is 0.998 from the start"


def test_the_average_copies_no_data(options, monkeypatch):
    """Lightning copies the whole module, and a data set as Python objects takes gigabytes."""
    copied = []

    def end(made, module, *_):
        [averaging] = [each for each in made.callbacks if isinstance(each, WeightAveraging)]
        averaging.setup(made, module, "fit")
        everything = {}
        copy.deepcopy(averaging._average_model, everything)
        copied.extend(everything.values())
        raise InputError("no steps are done")

    monkeypatch.setattr(trainer, "_fit", end)
    with pytest.raises(InputError, match="no steps"):
        trainer.train(options("short"), "", "", None)
    assert any(isinstance(each, torch.Tensor) for each in copied)
    assert not any(isinstance(each, (CocoDataset, CocoImage, Validator)) for each in copied)
