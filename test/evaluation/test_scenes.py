# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from yolact_ros.data.coco import decode_segmentation
from yolact_ros.data.run_lengths import encode_mask
from yolact_ros.evaluation.scenes import (
    FIRST_UNSEEN_SEED,
    evaluate_scenes,
    found_ious,
    frame_annotations,
    render_scene,
)
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.structures import Instances, PackedMask

SEEDS = range(FIRST_UNSEEN_SEED, FIRST_UNSEEN_SEED + 3)


class Oracle:
    """Answers with the truth of the scenes in their order, after an edit."""

    class_names = DEMO_CLASSES
    timings = {"network": 7.0}  # noqa: RUF012

    def __init__(self, edit=lambda masks, frame: masks, score=0.9):
        self.edit = edit
        self.score = score
        self.frames = [render_scene(seed) for seed in SEEDS]

    def __call__(self, image, channel_order):
        assert channel_order == "rgb"
        frame = self.frames.pop(0)
        assert np.array_equal(image, frame.image)
        count = len(frame.objects)
        masks = self.edit([frame.instance_map == i + 1 for i in range(count)], frame)
        boxes = np.array([thing.box for thing in frame.objects], np.float32).reshape(-1, 4)
        return [
            Instances(
                image_size=image.shape[:2],
                boxes=boxes,
                scores=np.full(count, self.score, np.float32),
                class_ids=np.array([thing.class_id for thing in frame.objects], np.int64),
                class_names=tuple(thing.class_name for thing in frame.objects),
                packed_masks=tuple(PackedMask.from_array(mask) for mask in masks),
            )
        ]


def test_the_truth_scores_perfectly():
    metrics = evaluate_scenes(Oracle(), SEEDS)
    assert metrics.scenes == 3
    assert metrics.objects == sum(len(render_scene(seed).objects) for seed in SEEDS)
    assert metrics.mask.ap == metrics.box.ap == 1
    assert metrics.recall == metrics.mean_iou == 1
    assert metrics.network_ms == 7


def test_spoiled_masks_cost_mask_ap_only():
    def thin_out(masks, frame):
        """Two of three rows: an IoU of about two thirds."""
        return [mask & (np.arange(len(mask)) % 3 > 0)[:, None] for mask in masks]

    metrics = evaluate_scenes(Oracle(thin_out), SEEDS)
    assert metrics.box.ap == 1
    assert metrics.mask.ap50 == 1
    assert metrics.mask.ap75 == 0
    assert metrics.mean_iou == pytest.approx(2 / 3, abs=0.03)


def test_low_scores_count_for_ap_but_not_for_recall():
    metrics = evaluate_scenes(Oracle(score=0.29), SEEDS)
    assert metrics.mask.ap == 1
    assert metrics.recall == metrics.mean_iou == 0


def test_annotations_are_the_frame():
    frame = render_scene(FIRST_UNSEEN_SEED)
    annotations = frame_annotations(frame, 5, 11)
    assert [a["id"] for a in annotations] == list(range(11, 11 + len(frame.objects)))
    assert all(a["image_id"] == 5 for a in annotations)
    for index, (annotation, thing) in enumerate(zip(annotations, frame.objects, strict=True)):
        mask = decode_segmentation(annotation["segmentation"], *frame.instance_map.shape)
        assert np.array_equal(mask, frame.instance_map == index + 1)
        assert annotation["area"] == mask.sum()
        assert DEMO_CLASSES[annotation["category_id"] - 1] == thing.class_name
        rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
        x, y, width, height = annotation["bbox"]
        assert (x, y) == (columns[0], rows[0])
        assert (x + width, y + height) == (columns[-1] + 1, rows[-1] + 1)


def strip(first, last):
    mask = np.zeros((4, 100), bool)
    mask[:, first:last] = True
    return encode_mask(mask)


def test_pairs():
    truth = [
        {"id": 1, "category_id": 1, "segmentation": strip(0, 20)},
        {"id": 2, "category_id": 1, "segmentation": strip(30, 50)},
        {"id": 3, "category_id": 2, "segmentation": strip(60, 80)},
    ]
    results = [
        {"score": 0.4, "category_id": 1, "segmentation": strip(0, 20)},  # too late for the first
        {"score": 0.9, "category_id": 1, "segmentation": strip(0, 25)},  # IoU 0.8
        {"score": 0.8, "category_id": 1, "segmentation": strip(41, 50)},  # IoU 0.45: too little
        {"score": 0.7, "category_id": 1, "segmentation": strip(60, 80)},  # another class
        {"score": 0.2, "category_id": 2, "segmentation": strip(60, 80)},  # below the threshold
    ]
    assert found_ious(truth, results, 0.3) == {1: pytest.approx(0.8)}
    assert found_ious(truth, results, 0.1) == {1: pytest.approx(0.8), 3: pytest.approx(1)}
    assert found_ious([], results, 0.3) == found_ious(truth, [], 0.3) == {}
