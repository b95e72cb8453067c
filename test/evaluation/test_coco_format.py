# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from yolact_ros.evaluation.coco_format import instances_to_coco_results
from yolact_ros.structures import Instances, PackedMask


@pytest.fixture
def instances():
    masks = np.zeros((3, 20, 30), bool)
    masks[0, 4:9, 11:25] = True
    masks[1, 19, 29] = True
    return Instances(
        image_size=(20, 30),
        boxes=np.array([[11, 4, 25, 9], [28.5, 18, 30, 20], [0, 0, 5, 5]], np.float32),
        scores=np.array([0.75, 0.5, 0.25], np.float32),
        class_ids=np.array([4, 0, 1]),
        class_names=("mug", "ball", "box"),
        packed_masks=tuple(PackedMask.from_array(mask) for mask in masks),
    ), masks


def test_results_hold_what_the_instances_hold(instances):
    instances, masks = instances
    results = json.loads(json.dumps(instances_to_coco_results(instances, 42)))
    assert [r["image_id"] for r in results] == [42, 42, 42]
    assert [r["category_id"] for r in results] == [5, 1, 2]
    assert [r["score"] for r in results] == [0.75, 0.5, 0.25]
    assert results[0]["bbox"] == [11, 4, 14, 5]
    assert results[1]["bbox"] == [28.5, 18, 1.5, 2]
    for result, mask in zip(results, masks, strict=True):
        assert np.array_equal(coco_mask.decode(result["segmentation"]), mask)


def test_category_ids_are_looked_up(instances):
    results = instances_to_coco_results(instances[0], 0, category_ids=(10, 20, 30, 40, 50))
    assert [r["category_id"] for r in results] == [50, 10, 20]
    with pytest.raises(ValueError, match="expected one for class id 4, got 3 in all"):
        instances_to_coco_results(instances[0], 0, category_ids=(10, 20, 30))


def test_mask_scores_multiply(instances):
    rescored = Instances(
        **(vars(instances[0]) | {"mask_scores": np.array([0.5, 1, 0], np.float32)})
    )
    results = instances_to_coco_results(rescored, 0)
    assert [r["score"] for r in results] == [0.375, 0.5, 0]
    assert [r["box_score"] for r in results] == [0.75, 0.5, 0.25]
    kept = instances_to_coco_results(rescored, 0, multiply_mask_scores=False)
    assert [r["score"] for r in kept] == [0.75, 0.5, 0.25]
