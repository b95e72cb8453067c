# SPDX-License-Identifier: Apache-2.0
"""Average precision equals that of a second library, pycocotools, on awkward data sets."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolact_ros.datasets.segmentation import encode_mask
from yolact_ros.evaluation.coco import METRICS, coco_metrics

SEEDS = range(6)
CATEGORIES = [
    {"id": number, "name": name}
    for number, name in [
        (7, "bolt"),
        (2, "nut"),
        (40, "gear"),
        (41, "never there"),
        (5, "never found"),
    ]
]


def ellipse(height, width, centre, radii):
    rows, columns = np.ogrid[:height, :width]
    return ((columns + 0.5 - centre[0]) / radii[0]) ** 2 + (
        (rows + 0.5 - centre[1]) / radii[1]
    ) ** 2 <= 1


def bounds(mask):
    points = np.argwhere(mask)
    (top, left), (bottom, right) = points.min(axis=0), points.max(axis=0) + 1
    return [int(left), int(top), int(right - left), int(bottom - top)]


def run_lengths(mask):
    """Uncompressed, as COCO's own crowd regions are."""
    pixels = mask.reshape(-1, order="F").astype(np.int8)
    edges = np.flatnonzero(np.diff(pixels, prepend=0, append=0))
    if pixels[-1]:
        edges = edges[:-1]
    counts = np.diff(edges, prepend=0, append=pixels.size)
    return {"size": list(mask.shape), "counts": counts.tolist()}


def random_set(seed):
    """Truth and results: crowds, empty images, objects of a few pixels, polygons, equal scores."""
    random = np.random.default_rng(seed)
    images, annotations, results = [], [], []
    for image_id in range(12):
        height, width = (int(side) for side in random.integers(90, 260, 2))
        images.append({"id": image_id, "file_name": "", "height": height, "width": width})
        shapes = []
        # every fourth image is empty, and one has more objects than COCO counts
        count = 0 if image_id % 4 == 3 else 110 if image_id == 5 else int(random.integers(1, 9))
        for _ in range(count):
            centre = random.uniform((0, 0), (width, height))
            radius = 1.5 if random.random() < 0.25 else random.uniform(2, 70)
            radii = radius * random.uniform(0.5, 1.5, 2)
            mask = ellipse(height, width, centre, radii)
            if not mask.any():
                continue
            category = int(random.choice([7, 2, 40, 5]))
            crowd = bool(random.random() < 0.2)
            x, y, w, h = box = bounds(mask)
            segmentation = run_lengths(mask) if crowd else encode_mask(mask)
            if not crowd and random.random() < 0.3 and min(w, h) > 3:
                segmentation = [[x, y, x + w, y, x + w, y + h / 2, x, y + h]]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": box,
                    "area": float(mask.sum()),
                    "iscrowd": int(crowd),
                    "segmentation": segmentation,
                }
            )
            shapes.append((centre, radii, category))
        shapes += [(random.uniform((0, 0), (width, height)), (9, 7), 2) for _ in range(3)]
        for centre, radii, category in shapes:
            for _ in range(int(random.integers(0, 3))):
                mask = ellipse(
                    height,
                    width,
                    centre + random.normal(0, 0.1, 2) * radii,
                    np.multiply(radii, random.uniform(0.8, 1.2, 2)),
                )
                if category == 5 or not mask.any():
                    continue
                if random.random() < 0.1:
                    category = 41
                results.append(
                    {
                        "image_id": image_id,
                        "category_id": category,
                        "bbox": [side + random.normal(0, 0.3) for side in bounds(mask)[:2]]
                        + bounds(mask)[2:],
                        # many are equal
                        "score": round(float(random.random()), 1 if seed % 2 else 3),
                        "segmentation": encode_mask(mask),
                    }
                )
    return {"images": images, "annotations": annotations, "categories": CATEGORIES}, results


def second_opinion(truth, results, kind, tmp_path):
    """The twelve figures of the other library, which reads the truth from a file."""
    file = tmp_path / "truth.json"
    file.write_text(json.dumps({"info": {}, **truth}))
    other = "segmentation" if kind == "bbox" else "bbox"
    own = [{key: value for key, value in result.items() if key != other} for result in results]
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO(str(file))
        evaluation = COCOeval(known, known.loadRes(own), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", SEEDS)
def test_all_twelve_figures_agree(seed, kind, tmp_path):
    truth, results = random_set(seed)
    before = json.dumps(truth)
    metrics = coco_metrics(truth, results, kind)
    assert json.dumps(truth) == before
    ours = [getattr(metrics, name) for name in METRICS]
    assert ours == pytest.approx(second_opinion(truth, results, kind, tmp_path), abs=1e-6)
    assert len(ours) == 12
    assert 0.1 < metrics.ap < 0.9  # there was something to disagree about
    assert metrics.ap_per_class["never there"] == -1
    assert metrics.ap_per_class["never found"] == 0


@pytest.mark.slow
def test_the_sets_are_awkward():
    truths = [random_set(seed)[0] for seed in SEEDS]
    annotations = [annotation for truth in truths for annotation in truth["annotations"]]
    assert sum(annotation["iscrowd"] for annotation in annotations) > 20
    assert sum(annotation["area"] < 10 for annotation in annotations) > 20
    assert sum(isinstance(annotation["segmentation"], list) for annotation in annotations) > 20
    for truth in truths:
        used = {annotation["image_id"] for annotation in truth["annotations"]}
        assert len(truth["images"]) - len(used) >= 3
