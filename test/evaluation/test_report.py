# SPDX-License-Identifier: Apache-2.0
"""The report's files, of results that are made up."""

import base64
import json
import re
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from yolact_ros.cli.eval import describe
from yolact_ros.datasets.segmentation import encode_mask
from yolact_ros.evaluation import report
from yolact_ros.evaluation.coco import METRICS, coco_metrics
from yolact_ros.evaluation.evaluate import evaluate_results
from yolact_ros.evaluation.operating_point import match_dataset
from yolact_ros.evaluation.pictures import compare, describe_errors
from yolact_ros.evaluation.plots import confusion_plot, precision_recall_plot
from yolact_ros.evaluation.report import write_report
from yolact_ros.evaluation.segment_dataset import SegmentedDataset
from yolact_testing.datasets import write_dataset
from yolact_testing.pages import Page

HEIGHT, WIDTH = 120, 160
NASTY = "nut <b>&\"' $\\frac$"
NAMES = ("bolt", NASTY, "gear")
RUN = {
    "network": {"preset": "yolact_demo", "class_names": list(NAMES), "score_threshold": 0.05},
    "machine": {"device": "cpu", "name": "<processor>", "precision": "fp32", "threads": 1,
                "batch_size": 1},
    "weights": {"file": "a&b.safetensors", "sha256": "12ab", "metadata": {"command": "<x>"}},
    "data": {"annotations": "truth.json", "sha256": "34cd", "images": "pictures"},
    "versions": {"numpy": "1.26"},
    "command": "yolact-ros eval --out '<here>'",
    "written": "2026-01-02T03:04:05+00:00",
}  # fmt: skip


def square(x, y, side=40):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + side, x : x + side] = True
    return {"bbox": [x, y, side, side], "segmentation": encode_mask(mask)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Three grey images; objects in the first two, a crowd in the second."""
    folder = tmp_path_factory.mktemp("pictures")
    truth = [(1, 1, square(5, 5), 0), (1, 2, square(80, 60), 0), (2, 2, square(10, 10), 0)]
    truth += [(2, 1, square(80, 10, 70), 1)]
    annotations = [
        {"id": i, "image_id": image, "category_id": category, "iscrowd": crowd, **shape}
        for i, (image, category, shape, crowd) in enumerate(truth, start=1)
    ]
    grey = np.full((HEIGHT, WIDTH, 3), 99, np.uint8)
    return write_dataset(folder, [grey] * 3, dict(enumerate(NAMES, 1)), annotations)


def found(image, category, score, shape):
    return {"image_id": image, "category_id": category, "score": score, **shape}


RESULTS = [
    found(1, 1, 0.9, square(5, 5)),
    found(1, 1, 0.8, square(80, 60)),  # is a nut
    found(2, 2, 0.7, square(10, 10)),
    found(2, 1, 0.6, square(100, 20)),  # in the crowd
    found(3, 3, 0.5, square(100, 20)),  # of nothing
]
TIMES = {"read": [1.0, 2.0, 3.0], "network": [10.0, 20.0, 30.0], "total": [20.0, 25.0, 90.0]}


@pytest.fixture(scope="module")
def evaluation(dataset):
    segmented = SegmentedDataset(RESULTS, TIMES, ("gear",), {"<mug>": 4})
    return evaluate_results(dataset, segmented)


@pytest.fixture(scope="module")
def folder(evaluation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep") / "report"
    write_report(evaluation, RUN, folder)
    return folder


def test_the_metrics(folder, dataset):
    written = json.loads((folder / "metrics.json").read_text())
    for name, kind in (("mask", "segm"), ("box", "bbox")):
        metrics = coco_metrics(dataset.content, RESULTS, kind)
        assert written[name] == asdict(metrics)
        assert set(METRICS) < set(written[name])
    assert written["mask"]["ap_per_class"] == {
        "bolt": pytest.approx(1),
        NASTY: pytest.approx(51 / 101),
        "gear": -1,
    }
    assert written["operating_point"] == {
        "score": 0.3,
        "iou": 0.5,
        "right": 2,
        "confused": 1,
        "false_negatives": 0,
        "false_positives": 1,
        "mean_iou": 1,
        "recall": pytest.approx(2 / 3),
        "precision": pytest.approx(1 / 2),
        "classes": [*NAMES, "background"],
        "confusion": [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]],
    }
    assert written["counts"] == {
        "images": 3,
        "images_without_objects": 1,
        "objects": 3,
        "crowds": 1,
        "instances": 5,
        "objects_per_size": {"small": 0, "medium": 3, "large": 0},
        "objects_per_class": {"bolt": 1, NASTY: 2, "gear": 0},
        "unknown_classes": ["gear"],
        "left_out": {"<mug>": 4},
    }
    assert written["speed"]["milliseconds"]["network"] == {"median": 20, "p95": pytest.approx(29)}
    assert written["speed"]["images_per_second"] == 40
    assert {key: written[key] for key in RUN} == RUN


def test_the_results_are_loaded_by_cocos_tools(folder, dataset):
    truth = COCO()
    truth.dataset = {"info": {}, **dataset.content}
    truth.createIndex()
    loaded = truth.loadRes(str(folder / "results.json"))
    assert len(loaded.anns) == len(RESULTS)


def test_the_page_is_whole_and_needs_nothing_else(folder):
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert not re.search(r"url\(|@import|<script|<link", text)
    # two curves, a matrix, two images each of the worst: the third and the first
    assert page.tags.count("img") == len(page.references) == 3 + 2 * 2
    for reference in page.references:
        kind, data = re.fullmatch(r"data:image/(png|jpeg);base64,(.*)", reference).groups()
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[:2] == (HEIGHT, WIDTH) if kind == "jpeg" else image.size > 10_000
    words = " ".join(page.texts)
    assert f"The network does not know gear: {'counted as never found'}" in words
    assert "no such classes: <mug> ×4" in words
    assert NASTY in words and "<processor>" in words and "--out '<here>'" in words
    assert "wrong class 1" in words and "false positives 1: gear" in words
    assert words.index("3.png") < words.index("1.png")
    assert "2.png" not in words


@pytest.mark.slow
def test_a_report_is_written_anew(folder, evaluation):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == [
        "confusion_matrix.png",
        "index.html",
        "metrics.json",
        "precision_recall_50.png",
        "precision_recall_75.png",
        "results.json",
    ]
    (folder / "metrics.json").write_text("old")
    (folder / "notes.txt").write_text("mine")
    write_report(evaluation, RUN, folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert {path: (folder / path).read_bytes() for path in before} == before


@pytest.mark.slow
def test_so_many_pictures_as_asked(evaluation, tmp_path, monkeypatch):
    for name in ("confusion_plot", "precision_recall_plot"):  # take most of the time
        monkeypatch.setattr(report, name, lambda *_: b"")
    pages = [
        Page(write_report(evaluation, RUN, tmp_path, pictures=count).read_text("utf-8"))
        for count in (0, 1)
    ]
    assert [page.tags.count("figure") for page in pages] == [0, 1]


def test_nothing_is_there(dataset, tmp_path):
    empty = replace(dataset, images=dataset.images[2:])
    evaluation = evaluate_results(empty, SegmentedDataset([], {"total": [7.0]}, (), {}))
    page = write_report(evaluation, RUN, tmp_path / "empty")
    assert "all objects were found exactly" in page.read_text("utf-8")
    written = json.loads((tmp_path / "empty" / "metrics.json").read_text())
    assert {written["mask"][name] for name in METRICS} == {-1}


def test_what_is_found_where_nothing_is_is_wrong(dataset, tmp_path, monkeypatch):
    for name in ("confusion_plot", "precision_recall_plot"):  # take most of the time
        monkeypatch.setattr(report, name, lambda *_: b"")
    _, second, third = dataset.images
    crowds = replace(second, objects=tuple(thing for thing in second.objects if thing.crowd))
    for image, results, lack in (
        (third, RESULTS[4:], "images without annotations"),
        (crowds, RESULTS[2:4], "1 crowd region alone (iscrowd 1)"),
    ):
        segmented = SegmentedDataset(results, {"total": [7.0]}, (), {})
        evaluation = evaluate_results(replace(dataset, images=(image,)), segmented)
        said = describe(evaluation)
        assert f"nothing to find: expected objects, got {lack}" in said
        assert said.endswith("false positives at score 0.3: 1")
        assert "recall -, precision 0.000" in said and "-1.000" not in said
        page = Page(write_report(evaluation, RUN, tmp_path / "out").read_text("utf-8"))
        assert page.tags.count("figure") == 1
        assert "Nothing to find: " in " ".join(page.texts)
        point = json.loads((tmp_path / "out" / "metrics.json").read_text())["operating_point"]
        assert (point["recall"], point["precision"], point["false_positives"]) == (None, 0, 1)


def test_words_for_what_is_wrong(dataset):
    def words(image, *results):
        matches = match_dataset(dataset, results, score=0.3)
        return describe_errors(matches[image - 1], NAMES)

    assert words(1) == f"false negatives 2: bolt, {NASTY}"
    assert words(1, *RESULTS) == f"wrong class 1: {NASTY} taken for bolt"
    assert words(2, RESULTS[2]) == "all 1 found, mean mask IoU 1.00"
    assert words(3, RESULTS[4], RESULTS[4]) == "false positives 2: gear ×2"


def test_errors_are_framed_in_red(dataset):
    def framed(data):
        """Whether each edge of the nut's box (80 to 120, 60 to 100) is red."""
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)
        blue, green, red = (image[65:95, 79:82].mean(axis=(0, 1)) + image[65:95, 119:122].mean(
            axis=(0, 1))) / 2  # fmt: skip
        return red > blue + 60 and red > green + 60

    missed, confused = (
        compare(dataset, match_dataset(dataset, results, score=0.3)[0]) for results in ([], RESULTS)
    )
    right = [RESULTS[0], {**RESULTS[1], "category_id": 2}]
    found_all = compare(dataset, match_dataset(dataset, right, score=0.3)[0])
    assert [framed(missed.truth), framed(missed.found)] == [True, False]
    assert [framed(confused.truth), framed(confused.found)] == [False, True]
    assert [framed(found_all.truth), framed(found_all.found)] == [False, False]


@pytest.mark.slow
def test_plots_of_many_classes(evaluation):
    count = 30  # more than have a legend, and more than have numbers
    names = [f"class {number}" for number in range(count)]
    matrix = np.diag(np.arange(count + 1))
    curves = replace(
        evaluation.curves, precision=np.ones((10, 101, count)), class_names=tuple(names)
    )
    for png in (confusion_plot(matrix, names), precision_recall_plot(curves, 0.5)):
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[0] > 600 and image.min() < 100


def test_the_curve_is_where_the_precision_is(evaluation):
    """A precision of one half draws the mean in the middle of the axes, and nowhere above."""
    curves = replace(evaluation.curves, precision=np.full((10, 101, 1), 0.5), class_names=("bolt",))
    png = precision_recall_plot(curves, 0.5)
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    axes = image[:, image.shape[1] // 3 : image.shape[1] * 2 // 3]
    rows = np.flatnonzero((axes < 80).all(axis=1))
    top, bottom = rows[0], rows[-1]  # the line, and the axis below
    assert 0.4 < (bottom - top) / image.shape[0] < 0.47
