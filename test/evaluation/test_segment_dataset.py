# SPDX-License-Identifier: Apache-2.0
"""A data set goes through anything that answers images with instances."""

import numpy as np
import pytest

from yolact_ros.datasets.segmentation import decode_segmentation, encode_mask
from yolact_ros.evaluation.coco import coco_metrics
from yolact_ros.evaluation.segment_dataset import segment_dataset
from yolact_ros.structures import Instances, PackedMask
from yolact_testing.datasets import write_dataset

HEIGHT, WIDTH = 48, 64


def picture(number):
    """A colour of its own for each image, red unlike blue."""
    return np.full((HEIGHT, WIDTH, 3), (10 * number, 100, 200), np.uint8)


def square(x, y, side=16):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + side, x : x + side] = True
    return mask


@pytest.fixture
def dataset(tmp_path):
    """Three images; the first has a bolt (category 7) and a nut (category 3), the last a nut."""
    truth = [(1, 7, square(2, 3)), (1, 3, square(30, 20)), (3, 3, square(8, 8))]
    annotations = [
        {
            "image_id": image,
            "category_id": category,
            "bbox": [*np.argwhere(mask)[0][::-1].tolist(), 16, 16],
            "segmentation": encode_mask(mask),
        }
        for image, category, mask in truth
    ]
    return write_dataset(
        tmp_path, [picture(n) for n in (1, 2, 3)], {7: "bolt", 3: "nut"}, annotations
    )


class Network:
    """Answers with given (class name, mask, score) for each number that is drawn in the image."""

    def __init__(self, class_names, answers, mask_scores=None):
        self.class_names = class_names
        self.answers = answers
        self.mask_scores = mask_scores
        self.batches = []
        self.timings = {}

    def __call__(self, images, channel_order="bgr"):
        assert channel_order == "rgb"
        numbers = [int(image[0, 0, 0]) // 10 for image in images]
        assert all(
            np.array_equal(image, picture(n)) for image, n in zip(images, numbers, strict=True)
        )
        self.batches.append(numbers)
        self.timings = {"network": 6.0}
        return [self.instances(self.answers.get(number, [])) for number in numbers]

    def instances(self, answers):
        boxes = [
            [*np.argwhere(mask).min(0)[::-1], *(np.argwhere(mask).max(0)[::-1] + 1)]
            if mask.any()
            else [0, 0, 5, 5]
            for _, mask, _ in answers
        ]
        return Instances(
            image_size=(HEIGHT, WIDTH),
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            scores=np.array([score for *_, score in answers], np.float32),
            class_ids=np.array([self.class_names.index(name) for name, *_ in answers], np.int64),
            class_names=tuple(name for name, *_ in answers),
            packed_masks=tuple(PackedMask.from_array(mask) for _, mask, _ in answers),
            mask_scores=self.mask_scores and np.full(len(answers), self.mask_scores, np.float32),
        )


TRUTH = {
    1: [("bolt", square(2, 3), 0.9), ("nut", square(30, 20), 0.8)],
    3: [("nut", square(8, 8), 0.7)],
}


@pytest.mark.parametrize("class_names", [("bolt", "nut"), ("nut", "gear", "bolt")])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_classes_are_told_by_name(dataset, class_names, batch_size):
    network = Network(class_names, TRUTH)
    done = segment_dataset(network, dataset, batch_size=batch_size)
    assert [r["image_id"] for r in done.results] == [1, 1, 3]
    assert [r["category_id"] for r in done.results] == [7, 3, 3]
    assert np.array_equal(
        decode_segmentation(done.results[1]["segmentation"], HEIGHT, WIDTH), square(30, 20)
    )
    assert network.batches == {1: [[1], [2], [3]], 2: [[1, 2], [3]], 5: [[1, 2, 3]]}[batch_size]
    assert done.unknown_classes == ()
    assert done.left_out == {}
    for kind in ("bbox", "segm"):
        metrics = coco_metrics(dataset.content, done.results, kind)
        assert metrics.ap_per_class == pytest.approx({"nut": 1, "bolt": 1})


def test_each_image_has_its_share_of_the_time(dataset):
    done = segment_dataset(Network(("bolt", "nut"), TRUTH), dataset, batch_size=2)
    assert done.milliseconds["network"] == [3, 3, 6]
    assert {stage: len(times) for stage, times in done.milliseconds.items()} == {
        "read": 3,
        "network": 3,
        "total": 3,
    }
    assert all(time > 0 for time in done.milliseconds["read"] + done.milliseconds["total"])


def test_a_class_that_the_network_lacks_is_never_found_and_said(dataset):
    answers = {3: [("nut", square(8, 8), 0.7), ("gear", square(8, 8), 0.6)]}
    done = segment_dataset(Network(("gear", "nut"), answers), dataset)
    assert done.unknown_classes == ("bolt",)
    assert done.left_out == {"gear": 1}
    assert [r["category_id"] for r in done.results] == [3]
    metrics = coco_metrics(dataset.content, done.results, "segm")
    assert metrics.ap_per_class == pytest.approx({"nut": 51 / 101, "bolt": 0})


def test_no_class_in_common_ends_before_the_first_image(dataset):
    network = Network(("gear", "mug"), TRUTH)
    message = r"annotations.json to be among the network's \(gear, mug\), got nut, bolt"
    with pytest.raises(ValueError, match=message):
        segment_dataset(network, dataset)
    assert network.batches == []


def test_empty_masks_are_no_results(dataset):
    answers = {2: [("nut", square(0, 0, 0), 0.7)]}
    assert segment_dataset(Network(("bolt", "nut"), answers), dataset).results == []


def test_masks_and_boxes_have_their_own_ranking(dataset):
    network = Network(("bolt", "nut"), TRUTH, mask_scores=0.5)
    scores = [(r["score"], r["box_score"]) for r in segment_dataset(network, dataset).results]
    assert scores == [pytest.approx(pair) for pair in [(0.45, 0.9), (0.4, 0.8), (0.35, 0.7)]]
    plain = segment_dataset(network, dataset, multiply_mask_scores=False).results
    assert [r["score"] for r in plain] == pytest.approx([0.9, 0.8, 0.7])
    assert all("box_score" not in r for r in plain)


def test_a_batch_has_images(dataset):
    with pytest.raises(ValueError, match="batch_size: expected 1 or more, got 0"):
        segment_dataset(Network(("nut",), {}), dataset, batch_size=0)
