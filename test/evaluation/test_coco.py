# SPDX-License-Identifier: Apache-2.0
"""Average precision of results whose figures are known exactly."""

import copy

import numpy as np
import pytest

from yolact_ros.datasets.segmentation import encode_mask
from yolact_ros.evaluation.coco import coco_evaluation, coco_metrics

HEIGHT, WIDTH = 240, 320
CATEGORIES = [{"id": 1, "name": "left"}, {"id": 2, "name": "right"}]


def rectangle(x, y, side=100):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + side, x : x + side] = True
    return {"bbox": [x, y, side, side], "segmentation": encode_mask(mask)}


def truth(*objects, images=1):
    """Objects as (image, category, x, y)."""
    return {
        "images": [{"id": i, "height": HEIGHT, "width": WIDTH} for i in range(images)],
        "categories": CATEGORIES,
        "annotations": [
            {
                "id": index + 1,
                "image_id": image,
                "category_id": category,
                "area": 10_000,
                "iscrowd": 0,
                **rectangle(x, y),
            }
            for index, (image, category, x, y) in enumerate(objects)
        ],
    }


def result(image, category, x, y, score):
    return {"image_id": image, "category_id": category, "score": score, **rectangle(x, y)}


KINDS = pytest.mark.parametrize("kind", ["bbox", "segm"])


@KINDS
def test_perfect_results(kind):
    metrics = coco_metrics(
        truth((0, 1, 10, 10), (0, 2, 150, 50), (1, 2, 90, 90), images=2),
        [result(0, 1, 10, 10, 0.9), result(0, 2, 150, 50, 0.3), result(1, 2, 90, 90, 0.8)],
        kind,
    )
    for figure in (metrics.ap, metrics.ap50, metrics.ap75, metrics.ap_large):
        assert figure == pytest.approx(1)
    assert metrics.ar_100 == 1
    assert metrics.ar_1 == 1  # one instance an image and class is enough here
    assert metrics.ap_small == metrics.ap_medium == -1  # no such objects
    assert metrics.ap_per_class == pytest.approx({"left": 1, "right": 1})


@KINDS
def test_shifted_results(kind):
    # 76 of 124 columns in common: an IoU of 0.613 passes at 0.50, 0.55 and 0.60 of ten thresholds.
    metrics = coco_metrics(truth((0, 1, 10, 10)), [result(0, 1, 34, 10, 0.9)], kind)
    assert metrics.ap50 == pytest.approx(1)
    assert metrics.ap75 == 0
    assert metrics.ap == pytest.approx(0.3)


@KINDS
def test_a_better_scored_false_positive_halves_the_precision(kind):
    results = [result(0, 1, 200, 100, 0.9), result(0, 1, 10, 10, 0.5)]
    assert coco_metrics(truth((0, 1, 10, 10)), results, kind).ap == pytest.approx(0.5)


@KINDS
def test_a_missed_object_ends_the_recall_at_one_half(kind):
    # Precision 1 at the recalls 0, 0.01, ..., 0.50 of COCO's 101.
    metrics = coco_metrics(
        truth((0, 1, 10, 10), (0, 1, 200, 100)), [result(0, 1, 10, 10, 0.5)], kind
    )
    assert metrics.ap == pytest.approx(51 / 101)
    assert metrics.ar_100 == pytest.approx(0.5)


@KINDS
def test_the_wrong_class_finds_nothing(kind):
    metrics = coco_metrics(truth((0, 1, 10, 10)), [result(0, 2, 10, 10, 0.9)], kind)
    assert metrics.ap == 0
    assert metrics.ap_per_class == {"left": 0, "right": -1}  # no truth of the other class


@KINDS
def test_no_results(kind):
    assert coco_metrics(truth((0, 1, 10, 10)), [], kind).ap == 0


@KINDS
def test_an_instance_in_a_crowd_is_neither_right_nor_wrong(kind):
    ground_truth = truth((0, 1, 10, 10), (0, 1, 200, 100))
    results = [result(0, 1, 202, 100, 0.9), result(0, 1, 10, 10, 0.5)]  # 98 % in the second
    assert coco_metrics(ground_truth, results[1:], kind).ap == pytest.approx(51 / 101)
    ground_truth["annotations"][1]["iscrowd"] = 1
    assert coco_metrics(ground_truth, results, kind).ap == pytest.approx(1)
    assert coco_metrics(ground_truth, results[1:], kind).ap == pytest.approx(1)


@KINDS
def test_figures_of_each_class(kind):
    # An IoU of 0.613 on the left (see above); one of two found on the right.
    ground_truth = truth((0, 1, 10, 10), (0, 2, 10, 110), (0, 2, 200, 110))
    results = [result(0, 1, 34, 10, 0.9), result(0, 2, 200, 110, 0.8)]
    metrics = coco_metrics(ground_truth, results, kind)
    assert metrics.ap_per_class == pytest.approx({"left": 0.3, "right": 51 / 101})
    assert metrics.ap50_per_class == pytest.approx({"left": 1, "right": 51 / 101})
    assert metrics.ar_per_class == pytest.approx({"left": 0.3, "right": 0.5})


@KINDS
def test_precision_over_recall(kind):
    # In the order of the scores: right, wrong, right; of four objects.
    ground_truth = truth((0, 1, 10, 10), (0, 1, 200, 100), (1, 1, 0, 0), (1, 1, 0, 110), images=2)
    results = [
        result(0, 1, 10, 10, 0.9),
        result(0, 2, 10, 110, 0.9),  # of another class, which has no truth
        result(1, 1, 200, 100, 0.8),
        result(0, 1, 200, 100, 0.7),
    ]
    metrics, curves = coco_evaluation(ground_truth, results, kind)
    precision = curves.at(0.5)
    assert curves.class_names == ("left", "right")
    assert precision[:26, 0] == pytest.approx(1)  # up to a recall of 1/4
    assert precision[26:51, 0] == pytest.approx(2 / 3)  # up to 2/4
    assert (precision[51:, 0] == 0).all()
    assert (precision[:, 1] == -1).all()
    assert metrics.ap50 == pytest.approx((26 + 25 * 2 / 3) / 101)
    with pytest.raises(ValueError, match="iou: expected one of"):
        curves.at(0.51)


@KINDS
def test_without_truth_there_are_no_figures(kind):
    ground_truth = truth((0, 1, 10, 10))
    ground_truth["annotations"][0]["iscrowd"] = 1
    for nothing in (ground_truth, truth()):
        metrics, curves = coco_evaluation(nothing, [result(0, 2, 200, 100, 0.9)], kind)
        assert metrics.ap == metrics.ar_100 == metrics.ap_large == -1
        assert metrics.ap_per_class == {"left": -1, "right": -1}
        assert (curves.precision == -1).all()


@KINDS
def test_ids_may_be_any_integers(kind):
    ground_truth = copy.deepcopy(truth((0, 1, 10, 10), (1, 2, 90, 90), images=2))
    results = [result(0, 1, 10, 10, 0.9), result(1, 2, 90, 90, 0.8), result(0, 3, 0, 0, 0.7)]
    for entries in (ground_truth["images"], ground_truth["categories"]):
        for entry in entries:
            entry["id"] = entry["id"] * 2**70 - 5
    for entry in (*ground_truth["annotations"], *results):
        for key in ("image_id", "category_id"):
            entry[key] = entry[key] * 2**70 - 5
    assert coco_metrics(ground_truth, results, kind).ap_per_class == pytest.approx(
        {"left": 1, "right": 1}
    )


def test_boxes_are_ranked_by_their_own_score():
    results = [
        result(0, 1, 10, 10, 0.5) | {"box_score": 0.9},
        result(0, 1, 200, 100, 0.6) | {"box_score": 0.7},
    ]
    assert coco_metrics(truth((0, 1, 10, 10)), results, "segm").ap == pytest.approx(0.5)
    assert coco_metrics(truth((0, 1, 10, 10)), results, "bbox").ap == pytest.approx(1)


def test_each_kind_measures_its_own_geometry():
    moved = result(0, 1, 10, 10, 0.9) | {"bbox": [150, 100, 100, 100]}
    assert coco_metrics(truth((0, 1, 10, 10)), [moved], "segm").ap == pytest.approx(1)
    assert coco_metrics(truth((0, 1, 10, 10)), [moved], "bbox").ap == 0


def test_nothing_is_printed(capsys):
    coco_metrics(truth((0, 1, 10, 10)), [], "segm")
    assert capsys.readouterr().out == ""


def test_bad_arguments():
    with pytest.raises(ValueError, match="iou_kind: expected one of bbox, segm, got 'mask'"):
        coco_metrics(truth(), [], "mask")
    with pytest.raises(ValueError, match=r"known images, got \[7\]"):
        coco_metrics(truth(), [result(7, 1, 0, 0, 0.5)], "segm")
