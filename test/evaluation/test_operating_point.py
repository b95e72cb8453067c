# SPDX-License-Identifier: Apache-2.0
"""Pairs, confusion and the worst images, on strips of 100 columns."""

from pathlib import Path

import numpy as np
import pytest

from yolact_ros.datasets.coco import dataset_from_content
from yolact_ros.datasets.segmentation import encode_mask
from yolact_ros.evaluation.operating_point import (
    OperatingPoint,
    confusion_matrix,
    match_dataset,
    worst_matches,
)
from yolact_testing.datasets import coco_content

NUT, BOLT = 3, 7  # category ids; class ids 0 and 1


def strip(first, last):
    mask = np.zeros((4, 100), bool)
    mask[:, first:last] = True
    return {"bbox": [first, 0, last - first, 4], "segmentation": encode_mask(mask)}


def thing(category, first, last, image=1, crowd=0):
    return {"image_id": image, "category_id": category, "iscrowd": crowd, **strip(first, last)}


def found(score, category, first, last, image=1):
    return {"image_id": image, "category_id": category, "score": score, **strip(first, last)}


def dataset(*things, images=1):
    content = coco_content([(4, 100)] * images, {BOLT: "bolt", NUT: "nut"}, things)
    return dataset_from_content(content, Path("truth.json"), Path())


TRUTH = dataset(
    thing(NUT, 0, 20), thing(BOLT, 30, 50), thing(NUT, 60, 80), thing(NUT, 85, 100, crowd=1)
)
RESULTS = [
    found(0.25, NUT, 60, 80),  # below the threshold
    found(0.7, NUT, 0, 20),  # the second of one object
    found(0.9, NUT, 0, 25),  # IoU 0.8
    found(0.8, NUT, 30, 50),  # another class
    found(0.6, BOLT, 88, 100),  # in the crowd
]


def test_each_instance_is_right_confused_a_false_positive_or_in_a_crowd():
    [match] = match_dataset(TRUTH, RESULTS, score=0.3)
    assert [(pair.truth.id, pair.found.score, pair.iou) for pair in match.right] == [
        (0, 0.9, pytest.approx(0.8))
    ]
    assert [(pair.truth.id, pair.found.score) for pair in match.confused] == [(1, 0.8)]
    assert [thing.id for thing in match.false_negatives] == [2]
    assert [instance.score for instance in match.false_positives] == [0.7]
    assert [instance.score for instance in match.in_crowd] == [0.6]
    assert match.errors == 3
    assert match.quality == pytest.approx(0.8 / (1 + 1 + 0.5 + 0.5))


def test_the_matrix_counts_true_classes_down_and_found_ones_across():
    matches = match_dataset(TRUTH, RESULTS, score=0.3)
    #                                             nut bolt missed
    assert confusion_matrix(matches, 2).tolist() == [[1, 0, 1], [1, 0, 0], [1, 0, 0]]
    matches = match_dataset(TRUTH, RESULTS, score=0.25)
    assert confusion_matrix(matches, 2).tolist() == [[2, 0, 0], [1, 0, 0], [1, 0, 0]]
    matches = match_dataset(TRUTH, RESULTS, score=0.3, iou=0.81)
    assert confusion_matrix(matches, 2).tolist() == [[1, 0, 1], [1, 0, 0], [1, 0, 0]]


def test_the_sums_of_a_data_set():
    point = OperatingPoint.of(match_dataset(TRUTH, RESULTS, score=0.3), 0.3)
    assert (point.right, point.confused) == (1, 1)
    assert (point.false_negatives, point.false_positives) == (1, 1)
    assert point.mean_iou == pytest.approx(0.8)
    assert point.recall == point.precision == pytest.approx(1 / 3)
    nothing = OperatingPoint.of(match_dataset(dataset(), [], score=0.3), 0.3)
    assert (nothing.recall, nothing.precision, nothing.mean_iou) == (None, None, 0)


def test_the_better_score_chooses_first_and_chooses_the_better_overlap():
    truth = dataset(thing(NUT, 0, 20), thing(NUT, 10, 30))
    [match] = match_dataset(truth, [found(0.5, NUT, 10, 30), found(0.9, NUT, 8, 28)], score=0.3)
    # 18 of 22 columns of the second object; what is left for the other is 10 of 30 columns
    assert [(pair.truth.id, pair.iou) for pair in match.pairs] == [(1, pytest.approx(18 / 22))]
    assert [instance.score for instance in match.false_positives] == [0.5]


def test_half_an_overlap_is_enough():
    truth = dataset(thing(NUT, 0, 20))
    assert match_dataset(truth, [found(0.9, NUT, 0, 40)], score=0.3)[0].right
    assert match_dataset(truth, [found(0.9, NUT, 0, 41)], score=0.3)[0].false_positives


def test_the_worst_images_come_first():
    truth = dataset(
        thing(NUT, 0, 20, image=1),  # perfect
        thing(NUT, 0, 20, image=2),  # found by 3/4
        thing(NUT, 0, 20, image=3),  # missed
        *(thing(NUT, 20 * i, 20 * i + 20, image=5) for i in range(3)),  # all missed
        images=6,  # the fourth and sixth without objects
    )
    results = [
        found(0.9, NUT, 0, 20, image=1),
        found(0.9, NUT, 0, 15, image=2),
        found(0.9, NUT, 0, 15, image=6),
    ]
    matches = match_dataset(truth, results, score=0.3)
    assert [match.quality for match in matches] == [1, 0.75, 0, 1, 0, 0]
    assert [match.image.id for match in worst_matches(matches, 10)] == [5, 3, 6, 2]
    assert [match.image.id for match in worst_matches(matches, 2)] == [5, 3]
