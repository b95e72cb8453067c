# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from yolact_ros.cli.main import main
from yolact_ros.inference import Segmenter
from yolact_testing.networks import random_weights
from yolact_testing.pictures import noise


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("weights"))


def predict(*arguments, weights, out):
    options = ["--weights", str(weights), "--out", str(out), "--device", "cpu", "--quiet"]
    return main(["predict", *map(str, arguments), *options, "--score-threshold", "0.1"])


def load(out):
    return json.loads((out / "images.json").read_text()), json.loads(
        (out / "results.json").read_text()
    )


def test_a_folder_gives_overlays_and_coco_results(tmp_path, weights, capsys):
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    cv2.imwrite(str(folder / "b.png"), noise(48, 64, 1))
    cv2.imwrite(str(folder / "sub" / "a.jpg"), noise(30, 20, 2))
    (folder / "notes.txt").write_text("not a picture")
    out = tmp_path / "out"
    assert predict(folder, weights=weights, out=out) == 0
    images, results = load(out)
    assert [(image["file_name"], image["width"], image["height"]) for image in images] == [
        ("b.png", 64, 48),
        ("sub/a.jpg", 20, 30),
    ]
    assert cv2.imread(str(out / "b.png")).shape == (48, 64, 3)
    assert cv2.imread(str(out / "sub" / "a.jpg")).shape == (30, 20, 3)
    # The results are what Segmenter gives.
    segmenter = Segmenter(weights=weights, device="cpu", score_threshold=0.1)
    [found] = segmenter(cv2.imread(str(folder / "b.png")))
    found = found.without_empty_masks()
    first = [result for result in results if result["image_id"] == 1]
    assert len(first) == len(found) > 0
    np.testing.assert_allclose([result["score"] for result in first], found.scores, rtol=1e-6)
    decoded = [coco_mask.decode(result["segmentation"]) for result in first]
    np.testing.assert_array_equal(decoded, found.masks)
    assert [result["category_id"] for result in first] == (found.class_ids + 1).tolist()
    assert f"2 images, {len(results)} instances" in capsys.readouterr().out


def test_a_video_gives_a_video_of_as_many_frames(tmp_path, weights):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for seed in range(5):
        writer.write(noise(48, 64, seed))
    writer.release()
    out = tmp_path / "out"
    assert predict(path, weights=weights, out=out) == 0
    images, _ = load(out)
    assert [image["frame"] for image in images] == [0, 1, 2, 3, 4]
    capture = cv2.VideoCapture(str(out / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)


def test_an_unreadable_picture_is_named_and_the_others_are_done(tmp_path, weights, capsys):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    cv2.imwrite(str(good), noise(20, 20, 0))
    bad.write_bytes(b"no picture")
    out = tmp_path / "out"
    assert predict(bad, good, weights=weights, out=out) == 1
    assert "expected an image that OpenCV can read, got" in capsys.readouterr().err
    assert [image["file_name"] for image in load(out)[0]] == ["good.png"]


def test_two_pictures_of_one_name_do_not_overwrite_each_other(tmp_path, weights):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), noise(10, 10, 0))
    out = tmp_path / "out"
    paths = [tmp_path / folder / "a.png" for folder in ("one", "two")]
    assert predict(*paths, weights=weights, out=out) == 0
    assert sorted(path.name for path in out.glob("*.png")) == ["a-2.png", "a.png"]


def test_the_input_is_never_overwritten(tmp_path, weights, capsys):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), noise(10, 10, 0))
    before = path.read_bytes()
    assert predict(path, weights=weights, out=tmp_path) == 1
    assert path.read_bytes() == before
    assert "expected a folder other than the input's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere.png"], 1, "expected an image, a video or a folder, found none at nowhere.png"),
        (["EMPTY"], 1, "expected images or videos in"),
        (["PICTURE", "--preset", "yolact_bass"], 2, "did you mean 'yolact_base'?"),
        (["PICTURE", "--weights", "nowhere.pth"], 2, "--weights: expected an existing file, got"),
        (["PICTURE", "--score-threshold", "-1"], 2, "expected a number from 0 to 1, got '-1'"),
        (["PICTURE", "--device", "cuda:99"], 1, "device: expected one that this machine has"),
        (["PICTURE", "--classes", "teapot"], 1, "classes: expected names among ball"),
    ],
)
def test_wrong_arguments_give_one_line(tmp_path, refused, weights, arguments, status, message):
    (tmp_path / "empty").mkdir()
    cv2.imwrite(str(tmp_path / "a.png"), noise(10, 10, 0))
    places = {"EMPTY": str(tmp_path / "empty"), "PICTURE": str(tmp_path / "a.png")}
    given = [places.get(argument, argument) for argument in arguments]
    if "--weights" not in given:
        given += ["--weights", str(weights)]
    refusal = refused("predict", *given, "--out", tmp_path / "out")
    assert refusal[0] == status and message in refusal[1]
