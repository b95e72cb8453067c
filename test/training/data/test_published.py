# SPDX-License-Identifier: Apache-2.0
"""The published augmentation against figures of the authors' code.

`published_augmentation.json` holds histograms of what dbolya/yolact at 902073d made of this file's
picture: its RandomSampleCrop alone (window_...), and its SSDAugmentation up to the resize to 128 x
128 pixels. The picture was given as BGR; numpy.random was seeded with 0.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import tv_tensors

from yolact_ros.training.data.augmentation import Augmentation, augmentation_named
from yolact_ros.training.data.training_set import TrainingSet
from yolact_ros.training.data.transforms import geometry_of
from yolact_testing.datasets import write_dataset

FIGURES = json.loads(Path(__file__).with_name("published_augmentation.json").read_text())
HEIGHT, WIDTH = 90, 120
BOXES = [(5, 5, 35, 40), (60, 10, 115, 80), (20, 50, 50, 85), (52, 60, 64, 72)]
CANVAS = (124, 117, 104)
SAMPLES = 300
CHANCE = 1e-6
"""That two samples of one distribution differ by more than the bound."""


def picture():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    channels = [columns * 2, 255 - rows * 2, (rows * 7 + columns * 3) % 256]
    return np.stack(channels, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """The same quantities, made by this package."""
    made = {name: [] for name in FIGURES["quantities"]}
    torch.manual_seed(0)
    cropping = geometry_of(Augmentation(iou_crop=True))
    parts = {
        "image": tv_tensors.Image(torch.from_numpy(picture()).permute(2, 0, 1)),
        "boxes": tv_tensors.BoundingBoxes(BOXES, format="XYXY", canvas_size=(HEIGHT, WIDTH)),
    }
    for _ in range(2 * SAMPLES):
        window = cropping(parts)
        made["window_height"].append(window["image"].shape[1] / HEIGHT)
        made["window_width"].append(window["image"].shape[2] / WIDTH)
        made["window_objects"].append(int((window["boxes"][:, 2] > window["boxes"][:, 0]).sum()))
    annotations = [
        {
            "image_id": 1,
            "category_id": 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
        }
        for x1, y1, x2, y2 in BOXES
    ]
    folder = tmp_path_factory.mktemp("set")
    samples = TrainingSet(
        write_dataset(folder, [picture()], {1: "thing"}, annotations),
        input_size=128,
        augmentation=augmentation_named("published"),
        seed=0,
        length=SAMPLES,
        empty_images=False,
    )
    for index in range(SAMPLES):
        image, target = samples[index]
        canvas = (abs(image - np.array(CANVAS)) < 1).all(axis=2)
        shown = image[~canvas]
        made["objects"].append(len(target))
        made["object_share"].append(target.masks.any(dim=0).double().mean().item())
        made["canvas_share"].append(canvas.mean())
        made["mean"].append(shown.mean())
        made["deviation"].append(shown.std())
        made["lowest"].append(shown.min())
        made["highest"].append(shown.max())
        made["red_less_blue"].append(shown[:, 0].mean() - shown[:, 2].mean())
    return made


@pytest.mark.parametrize("name", FIGURES["quantities"])
def test_distributions_equal_those_of_the_authors_code(ours, name):
    """By the bound of Kolmogorov and Smirnov for two samples."""
    figures = FIGURES["quantities"][name]
    counts = np.array(figures["counts"])
    mine = np.histogram(ours[name], [-np.inf, *figures["edges"], np.inf])[0]
    assert mine.sum() == len(ours[name])
    distance = np.abs(counts.cumsum() / counts.sum() - mine.cumsum() / mine.sum()).max()
    bound = math.sqrt(math.log(2 / CHANCE) / 2 * (1 / counts.sum() + 1 / mine.sum()))
    assert distance <= bound
