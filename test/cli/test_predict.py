# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import os
import shutil
import signal
import threading
import time

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from yolact_ros.cli.main import main
from yolact_ros.datasets.coco import read_dataset
from yolact_ros.datasets.segmentation import decode_segmentation
from yolact_ros.inference import Segmenter
from yolact_testing.networks import random_weights
from yolact_testing.pictures import noise
from yolact_testing.videos import cut, write_video

pytestmark = pytest.mark.usefixtures("mpeg4")


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
    # 211.222 is an iPhone's slow motion, which MPEG-4 cannot hold
    path = write_video(tmp_path / "clip.avi", (noise(48, 64, n) for n in range(5)), fps=211.222)
    out = tmp_path / "out"
    assert predict(path, weights=weights, out=out) == 0
    images, _ = load(out)
    assert [image["frame"] for image in images] == [0, 1, 2, 3, 4]
    capture = cv2.VideoCapture(str(out / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(211.222, rel=0.01)


def test_of_a_cut_video_what_can_be_read_is_done_and_the_rest_is_said(tmp_path, weights, capsys):
    path = write_video(tmp_path / "clip.avi", (noise(48, 64, n) for n in range(10)))
    cut(path, 0.5)
    nothing = tmp_path / "nothing.mp4"
    nothing.write_text("no video")
    out = tmp_path / "out"
    assert predict(path, nothing, weights=weights, out=out) == 1
    images, _ = load(out)
    assert 2 <= len(images) <= 8
    said = capsys.readouterr().err
    assert f"{len(images)} of 10 frames could be read" in said
    assert "expected a video that OpenCV can read, got" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_current_image(tmp_path, weights, capsys, number):
    path = write_video(tmp_path / "clip.avi", (noise(48, 64, n) for n in range(200)))
    out = tmp_path / "out"
    first = threading.Event()

    def send():
        images = out / "images.json"
        while not images.exists() or images.read_text().count("file_name") < 2:
            time.sleep(0.01)
        first.set()
        os.kill(os.getpid(), number)

    before = signal.signal(number, signal.SIG_IGN)  # of pytest, should it come too late
    threading.Thread(target=send, daemon=True).start()
    try:
        assert predict(path, weights=weights, out=out) == 128 + number
        assert first.is_set() and signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)
    images, results = load(out)
    assert 2 <= len(images) < 200
    assert {result["image_id"] for result in results} == {image["id"] for image in images}
    capture = cv2.VideoCapture(str(out / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == len(images)
    assert f"stopped by {number.name} after {len(images)} of 200 images" in capsys.readouterr().err


def test_a_full_disk_costs_the_current_image(tmp_path, weights, capsys, files_end_at):
    for number in range(30):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), noise(48, 64, number))
    out = tmp_path / "out"
    files_end_at(60_000)
    pictures = sorted(tmp_path.glob("*.png"))
    assert predict(*pictures, "--no-overlay", weights=weights, out=out) == 1
    images, results = load(out)
    assert 1 <= len(images) < 30
    assert {result["image_id"] for result in results} == {image["id"] for image in images}
    assert "stopped: [Errno 27] File too large: " in capsys.readouterr().err


def test_an_overlay_that_cannot_be_written_costs_no_results(tmp_path, weights, capsys):
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), noise(48, 64))
    video = write_video(tmp_path / "clip.avi", (noise(48, 64, n) for n in range(3)))
    out = tmp_path / "out"
    (out / "a.png").mkdir(parents=True)
    (out / "clip.unfinished.mp4").mkdir()
    assert predict(picture, video, weights=weights, out=out) == 1
    assert len(load(out)[0]) == 4
    said = capsys.readouterr().err
    assert "no overlay: [Errno 21] Is a directory" in said
    assert "clip.mp4 is missing: [Errno" in said


def test_results_of_another_run_are_no_inputs(tmp_path, weights, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), noise(48, 64))
    out = tmp_path / "predictions"
    for _ in range(2):
        assert predict(tmp_path, weights=weights, out=out) == 0
        assert [image["file_name"] for image in load(out)[0]] == ["a.png"]
    assert "note: 1 file in --out left out, as results of another run" in capsys.readouterr().err


@pytest.fixture
def labelled(tmp_path):
    """A set of two pictures, whose ids are not in order, and one that is not there."""
    folder = tmp_path / "set"
    (folder / "images" / "sub").mkdir(parents=True)
    entries = []
    for number, name in ((70, "b.png"), (5, "sub/a.png"), (6, "c.png")):
        entries.append({"id": number, "file_name": name, "width": 64, "height": 48})
        cv2.imwrite(str(folder / "images" / name), noise(48, 64, number))
    (folder / "images" / "c.png").unlink()
    cv2.imwrite(str(folder / "images" / "other.png"), noise(48, 64))
    preset = Segmenter(preset="yolact_demo", device="cpu").class_names
    categories = [{"id": 40 + n, "name": name} for n, name in enumerate(reversed(preset))]
    path = folder / "annotations.json"
    path.write_text(json.dumps({"images": entries, "annotations": [], "categories": categories}))
    return path


@pytest.mark.parametrize("inputs", [["images"], ["images/b.png", "images/sub/a.png"], ["."]])
def test_ids_of_a_data_set_are_kept(tmp_path, weights, labelled, capsys, inputs):
    out = tmp_path / "out"
    paths = [labelled.parent / name for name in inputs]
    assert predict(*paths, "--annotations", labelled, weights=weights, out=out) == 0
    images, results = load(out)
    assert {image["id"]: image["file_name"] for image in images} == {70: "b.png", 5: "sub/a.png"}
    names = {entry["id"]: entry["name"] for entry in json.loads(labelled.read_text())["categories"]}
    segmenter = Segmenter(weights=weights, device="cpu", score_threshold=0.1)
    for image in images:
        [found] = segmenter(cv2.imread(str(labelled.parent / "images" / image["file_name"])))
        found = found.without_empty_masks()
        mine = [result for result in results if result["image_id"] == image["id"]]
        assert [names[result["category_id"]] for result in mine] == list(found.class_names)
    with contextlib.redirect_stdout(None):
        COCO(str(labelled)).loadRes(str(out / "results.json"))  # it refuses other ids
    said = capsys.readouterr().err
    assert "1 images of" in said and "are not in the inputs" in said
    assert ("1 inputs left out" in said) == (len(inputs) == 1)


def test_a_picture_of_another_size_than_labelled_is_told(tmp_path, weights, labelled, capsys):
    cv2.imwrite(str(labelled.parent / "images" / "b.png"), noise(48, 60))
    out = tmp_path / "out"
    images = labelled.parent / "images"
    assert predict(images, "--annotations", labelled, weights=weights, out=out) == 1
    assert [image["file_name"] for image in load(out)[0]] == ["sub/a.png"]
    expected = "b.png: expected 64x48 pixels as in --annotations, got 60x48"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("outlines", ["polygons", "rle"])
def test_a_data_set_can_be_checked_and_read(tmp_path, weights, capsys, outlines):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), noise(48, 64, 3))
    write_video(tmp_path / "clip.avi", (noise(48, 64, n) for n in range(2)))
    inputs = [tmp_path / name for name in ("one/a.png", "two/a.png", "clip.avi")]
    out = tmp_path / "out"
    options = ("--format", "coco", "--outlines", outlines)
    assert predict(*inputs, *options, weights=weights, out=out) == 0
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    frames = ["clip.avi/000000.jpg", "clip.avi/000001.jpg"]
    pictures = ["a-2.png", "a.png", *frames]
    assert files == [
        "annotations.json",
        *(f"images/{name}" for name in pictures),
        *(f"overlays/{name}" for name in ("a-2.png", "a.png", "clip.mp4")),
    ]
    check = ["dataset", "check", str(out / "annotations.json"), "--images", str(out / "images")]
    assert main(check) == 0
    dataset = read_dataset(out / "annotations.json", out / "images")
    assert sorted(image.file_name for image in dataset.images) == pictures
    segmenter = Segmenter(weights=weights, device="cpu", score_threshold=0.1)
    [found] = segmenter(cv2.imread(str(tmp_path / "one" / "a.png")))
    found = found.without_empty_masks()
    objects = dataset.images[0].objects
    assert [dataset.class_names[one.class_id] for one in objects] == list(found.class_names)
    for one, mask in zip(objects, found.masks, strict=True):
        again = decode_segmentation(one.segmentation, 48, 64).astype(bool)
        assert one.area == again.sum()
        if outlines == "rle":
            np.testing.assert_array_equal(again, mask)
        else:
            assert (again & mask).sum() > 0.9 * mask.sum()
    content = json.loads((out / "annotations.json").read_text())
    assert content["info"]["generator"] == "yolact-ros predict"
    assert all(0.1 < one["score"] <= 1 for one in content["annotations"])
    # what somebody may have corrected since is not replaced
    capsys.readouterr()
    assert predict(*inputs, *options, weights=weights, out=out) == 1
    assert "got " + str(out / "annotations.json") in capsys.readouterr().err
    assert predict(inputs[0], *options, "--force", weights=weights, out=out) == 0


def test_an_unreadable_picture_is_named_and_the_others_are_done(tmp_path, weights, capsys):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    cv2.imwrite(str(good), noise(20, 20, 0))
    bad.write_bytes(b"no picture")
    out = tmp_path / "out"
    assert predict(bad, good, weights=weights, out=out) == 1
    assert "expected an image file, got" in capsys.readouterr().err
    assert [image["file_name"] for image in load(out)[0]] == ["good.png"]


def test_two_pictures_of_one_name_do_not_overwrite_each_other(tmp_path, weights):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), noise(10, 10, 0))
    out = tmp_path / "out"
    paths = [tmp_path / folder / "a.png" for folder in ("one", "two")]
    assert predict(*paths, weights=weights, out=out) == 0
    assert sorted(path.name for path in out.glob("*.png")) == ["a-2.png", "a.png"]
    assert [image["path"] for image in load(out)[0]] == list(map(str, paths))


@pytest.mark.parametrize("inputs", [["a.png"], ["."], ["sub/a.png", "a.png"], ["clip.avi", "."]])
def test_no_input_is_ever_overwritten(tmp_path, weights, capsys, inputs):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), noise(10, 10, 0))
    (tmp_path / "sub").mkdir()
    shutil.copy(path, tmp_path / "sub")
    write_video(tmp_path / "clip.avi", [noise(48, 64)])
    shutil.copy(tmp_path / "clip.avi", tmp_path / "clip.mp4")
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    assert predict(*(tmp_path / name for name in inputs), weights=weights, out=tmp_path) == 1
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before
    assert "expected a folder other than the input's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere.png"], 1, "expected an image, a video or a folder, found none at nowhere.png"),
        (["EMPTY"], 1, "expected images or videos in"),
        (["PHONE"], 1, "found none among 2 files (.heic, .txt); convert it to JPEG first"),
        (["0"], 1, "got the camera 0: start its driver and the node (ros2 launch"),
        (["/dev/null"], 1, "got the camera /dev/null: start its driver and the node"),
        (["rtsp://10.0.0.1:554/a"], 1, "got the address rtsp://10.0.0.1:554/a: download it"),
        (["http://host/a.jpg"], 1, "got the address http://host/a.jpg: download it first"),
        (["-"], 1, "got - for the standard input: write it to a file first"),
        (["no/*.jpg"], 1, "found none that matches no/*.jpg; a pattern in quotes"),
        (["PIPE"], 1, "which is neither a file nor a folder"),
        (["BAG"], 1, "a recording of ROS is read by yolact-ros bag"),
        (["NOTES"], 1, "expected a file that ends in .3gp, .avi"),
        (["PICTURE", "--annotations", "NOTES"], 1, "notes.txt: expected JSON, got"),
        (["PICTURE", "--annotations", "LIST"], 1, "expected a data set in COCO's format"),
        (["PICTURE", "--annotations", "OTHERS"], 1, "such as b.jpg, got none of them, but a.png"),
        (["PICTURE", "--preset", "yolact_bass"], 2, "did you mean 'yolact_base'?"),
        (["PICTURE", "--weights", "nowhere.pth"], 2, "--weights: expected an existing file, got"),
        (["PICTURE", "--score-threshold", "-1"], 2, "expected a number from 0 to 1, got '-1'"),
        (["PICTURE", "--device", "cuda:99"], 1, "device: expected one that this machine has"),
        (["PICTURE", "--classes", "teapot"], 1, "classes: expected names among ball"),
    ],
)
def test_wrong_arguments_give_one_line(tmp_path, refused, weights, arguments, status, message):
    cv2.imwrite(str(tmp_path / "a.png"), noise(10, 10, 0))
    places = {"EMPTY": "empty", "PICTURE": "a.png", "PHONE": "phone", "PIPE": "pipe.mp4",
              "BAG": "a.mcap", "NOTES": "notes.txt", "LIST": "list.json",
              "OTHERS": "others.json"}  # fmt: skip
    for folder in ("empty", "phone"):
        (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in ("phone/a.heic", "phone/a.txt", "a.mcap", "notes.txt"):
        (tmp_path / name).write_text("something")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "others.json").write_text('{"images": [{"id": 1, "file_name": "b.jpg"}]}')
    given = [str(tmp_path / places[word]) if word in places else word for word in arguments]
    if "--weights" not in given:
        given += ["--weights", str(weights)]
    refusal = refused("predict", *given, "--out", tmp_path / "out")
    assert refusal[0] == status and message in refusal[1]
